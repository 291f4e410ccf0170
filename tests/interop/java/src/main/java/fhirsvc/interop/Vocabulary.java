package fhirsvc.interop;

import ca.uhn.fhir.context.support.IValidationSupport;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.r4.model.CodeSystem;
import org.hl7.fhir.r4.model.CodeSystem.ConceptDefinitionComponent;
import org.hl7.fhir.r4.model.Enumerations.PublicationStatus;
import org.hl7.fhir.r4.model.ValueSet;
import org.hl7.fhir.r4.model.ValueSet.ConceptSetComponent;

/**
 * The value sets behind US Core's required bindings of race, ethnicity and birth sex.
 *
 * <p>US Core takes them from VSAC, whose packages need a licence, so without this every race code
 * is an error. No code is written here: all come from the HL7 v3 code systems that R4 itself ships,
 * of which the CDC's race and ethnicity codes are the original. Where the VSAC set may be narrower
 * (null flavours, birth sex) the whole v3 system is let through.
 */
final class Vocabulary {
    private static final String CDC = "urn:oid:2.16.840.1.113883.6.238";
    private static final String V3 = "http://terminology.hl7.org/CodeSystem/v3-";
    private static final String VSAC = "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.";

    private final IValidationSupport r4;
    private final PrePopulatedValidationSupport target;

    private Vocabulary(IValidationSupport r4, PrePopulatedValidationSupport target) {
        this.r4 = r4;
        this.target = target;
    }

    /** Adds the code system and the value sets to {@code target}, taking the codes from {@code r4}. */
    static void addTo(PrePopulatedValidationSupport target, IValidationSupport r4) {
        new Vocabulary(r4, target).add();
    }

    private void add() {
        List<ConceptDefinitionComponent> races = system("Race").getConcept();
        List<ConceptDefinitionComponent> ethnicities = system("Ethnicity").getConcept();
        CodeSystem cdc = new CodeSystem();
        cdc.setUrl(CDC).setStatus(PublicationStatus.ACTIVE);
        cdc.setContent(CodeSystem.CodeSystemContentMode.FRAGMENT);
        races.forEach(cdc::addConcept);
        ethnicities.forEach(cdc::addConcept);
        target.addCodeSystem(cdc);

        // OMB's five races are the roots with something below them; the childless root is "Other".
        List<ConceptDefinitionComponent> omb = races.stream().filter(c -> c.hasConcept()).toList();
        for (String oid : List.of("114222.4.11.836", "113883.3.2074.1.1.3")) {
            valueSet(oid, CDC, omb);
        }
        // US Core 8 binds race to one set that has the null flavours too: us-core-23 speaks of them.
        ValueSet raceOrNone = valueSet("113883.4.642.2.575", CDC, omb);
        include(raceOrNone, V3 + "NullFlavor", withDescendants(system("NullFlavor").getConcept()));
        for (String oid : List.of("113883.1.11.14914", "113762.1.4.1267.25")) {
            valueSet(oid, CDC, withDescendants(races));
        }
        for (String oid : List.of("114222.4.11.837", "113883.4.642.40.2.48.3")) {
            valueSet(oid, CDC, ethnicities);
        }
        for (String oid : List.of("114222.4.11.877", "113883.4.642.40.2.48.1")) {
            valueSet(oid, CDC, withDescendants(ethnicities));
        }
        for (String oid : List.of("113762.1.4.1021.102", "113762.1.4.1021.103")) {
            valueSet(oid, V3 + "NullFlavor", withDescendants(system("NullFlavor").getConcept()));
        }
        valueSet("113762.1.4.1", V3 + "AdministrativeGender", system("AdministrativeGender").getConcept());
    }

    private CodeSystem system(String name) {
        return (CodeSystem) r4.fetchCodeSystem(V3 + name);
    }

    private ValueSet valueSet(String oid, String system, List<ConceptDefinitionComponent> concepts) {
        ValueSet set = new ValueSet();
        set.setUrl(VSAC + oid).setStatus(PublicationStatus.ACTIVE);
        include(set, system, concepts);
        target.addValueSet(set);
        return set;
    }

    private static void include(ValueSet set, String system, List<ConceptDefinitionComponent> concepts) {
        ConceptSetComponent include = set.getCompose().addInclude().setSystem(system);
        concepts.forEach(concept -> include.addConcept().setCode(concept.getCode()));
    }

    private static List<ConceptDefinitionComponent> withDescendants(List<ConceptDefinitionComponent> roots) {
        return roots.stream()
                .flatMap(root -> Stream.concat(
                        Stream.of(root), withDescendants(root.getConcept()).stream()))
                .toList();
    }
}
