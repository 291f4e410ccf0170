package fhirsvc.interop;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.utilities.npm.NpmPackage;

/** What resources are checked against: base R4 and the implementation guides given as packages. */
final class Rules {
    private final ValidationSupportChain chain;

    /** Loads {@code packages}, paths of NPM packages (.tgz); throws IOException on an unreadable one. */
    Rules(List<String> packages) throws IOException {
        FhirContext fhir = FhirContext.forR4Cached();
        DefaultProfileValidationSupport r4 = new DefaultProfileValidationSupport(fhir);
        PrePopulatedValidationSupport guides = guides(fhir, packages);
        Vocabulary.addTo(guides, r4);
        chain = new ValidationSupportChain(
                r4,
                guides,
                new InMemoryTerminologyServerValidationSupport(fhir),
                new CommonCodeSystemsTerminologyService(fhir),
                new SnapshotGeneratingValidationSupport(fhir),
                // LOINC, SNOMED CT and ICD are not here: their codes become warnings, not errors.
                new UnknownCodeSystemWarningValidationSupport(fhir));
    }

    FhirInstanceValidator module() {
        FhirInstanceValidator module = new FhirInstanceValidator(chain);
        References references = new References(module);
        module.setValidatorPolicyAdvisor(references);
        module.setValidatorResourceFetcher(references);
        return module;
    }

    boolean knowsProfile(String url) {
        return chain.fetchStructureDefinition(url) != null;
    }

    private static PrePopulatedValidationSupport guides(FhirContext fhir, List<String> packages)
            throws IOException {
        PrePopulatedValidationSupport support = new PrePopulatedValidationSupport(fhir);
        for (String file : packages) {
            try (InputStream bytes = Files.newInputStream(Path.of(file))) {
                NpmPackage guide = NpmPackage.fromPackage(bytes);
                for (String name : guide.listResources(
                        "StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter")) {
                    String json = new String(guide.load("package", name).readAllBytes(), StandardCharsets.UTF_8);
                    support.addResource(fhir.newJsonParser().parseResource(json));
                }
            }
        }
        return support;
    }
}
