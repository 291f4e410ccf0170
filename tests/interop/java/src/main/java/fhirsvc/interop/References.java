package fhirsvc.interop;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.context.IWorkerContext;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.ObjectConverter;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.model.CanonicalType;
import org.hl7.fhir.r5.model.ResourceFactory;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;

/**
 * Has the type of each reference's target checked, from what the reference itself says.
 *
 * <p>HAPI's own policy ignores references, so a CarePlan whose subject is a Practitioner would
 * pass. Resources are checked one by one here: a target is never fetched and every URL is taken to
 * exist. A {@code urn:uuid:} says no type and passes.
 */
final class References extends FhirDefaultPolicyAdvisor implements IValidatorResourceFetcher {
    private final FhirInstanceValidator module;

    References(FhirInstanceValidator module) {
        this.module = module;
    }

    @Override
    public ReferenceValidationPolicy policyForReference(
            IResourceValidator validator, Object context, String path, String url,
            ReferenceDestinationType destination) {
        return ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS;
    }

    /** An empty resource of the type that {@code [base/]Type/id} names, null for anything else. */
    @Override
    public Element fetch(IResourceValidator validator, Object context, String url) throws IOException {
        String[] parts = url.split("/_history/")[0].split("/");
        IWorkerContext worker = module.getWorkerContext();
        if (parts.length < 2 || !worker.getResourceNamesAsSet().contains(parts[parts.length - 2])) {
            return null;
        }
        return new ObjectConverter(worker)
                .convert(ResourceFactory.createResource(parts[parts.length - 2]));
    }

    @Override
    public boolean resolveURL(
            IResourceValidator validator, Object context, String path, String url, String type,
            boolean canonical, List<CanonicalType> targets) {
        return true;
    }

    @Override
    public byte[] fetchRaw(IResourceValidator validator, String url) {
        return null;
    }

    @Override
    public IValidatorResourceFetcher setLocale(Locale locale) {
        return this;
    }

    @Override
    public CanonicalResource fetchCanonicalResource(
            IResourceValidator validator, Object context, String url) {
        return null;
    }

    @Override
    public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
        return false;
    }

    @Override
    public Set<ResourceVersionInformation> fetchCanonicalResourceVersions(
            IResourceValidator validator, Object context, String url) {
        return Set.of();
    }
}
