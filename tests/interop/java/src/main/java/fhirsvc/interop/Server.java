package fhirsvc.interop;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * A HAPI FHIR R4 server on 127.0.0.1.
 *
 * <p>{@code --port N} (0: any free one), {@code --db DIR|mem}, {@code --validate} with
 * {@code --ig FILE.tgz} (repeatable), {@code --once} (start, answer, stop). Prints one line,
 * {@code ready http://127.0.0.1:PORT/fhir}, once {@code /metadata} answers.
 */
public final class Server {
    private static final Duration PATIENCE = Duration.ofSeconds(120);

    private Server() {}

    /** Starts the server and serves until the process is ended. */
    public static void main(String[] args) throws Exception {
        Flags flags = new Flags(
                args, Set.of("--port", "--db", "--ig"), Set.of("--validate", "--once"));
        String db = flags.get("--db", "mem");
        System.setProperty(
                Storage.DATABASE,
                db.equals("mem") ? "mem:fhir" : "file:" + Path.of(db).toAbsolutePath().resolve("fhir"));

        AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext(Storage.class);
        RestfulServer fhir = fhirServer(beans);
        if (flags.has("--validate")) {
            fhir.registerInterceptor(requestValidation(flags.all("--ig")));
        }
        int port = listen(fhir, Integer.parseInt(flags.get("--port", "0")));
        String url = "http://127.0.0.1:" + port + "/fhir";
        awaitMetadata(url);
        System.out.println("ready " + url);
        if (flags.has("--once")) {
            System.exit(0);
        }
    }

    private static RestfulServer fhirServer(ApplicationContext beans) {
        IFhirSystemDao<?, ?> dao = beans.getBean(IFhirSystemDao.class);
        RestfulServer fhir = new RestfulServer(beans.getBean(FhirContext.class));
        fhir.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        fhir.registerProvider(beans.getBean(JpaSystemProvider.class));
        fhir.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        JpaCapabilityStatementProvider metadata = new JpaCapabilityStatementProvider(
                fhir, dao, beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean("myJpaValidationSupportChain", IValidationSupport.class));
        metadata.setImplementationDescription("HAPI FHIR R4 for interoperability tests");
        fhir.setServerConformanceProvider(metadata);
        return fhir;
    }

    /** Refuses a body that the reference validator finds wrong with 422. */
    private static RequestValidatingInterceptor requestValidation(List<String> packages) throws Exception {
        RequestValidatingInterceptor interceptor = new RequestValidatingInterceptor();
        interceptor.setFailOnSeverity(ResultSeverityEnum.ERROR);
        interceptor.addValidatorModule(new Rules(packages).module());
        return interceptor;
    }

    private static int listen(RestfulServer fhir, int port) throws Exception {
        org.eclipse.jetty.server.Server jetty =
                new org.eclipse.jetty.server.Server(new QueuedThreadPool(60));
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        jetty.addConnector(connector);
        ServletContextHandler context = new ServletContextHandler("/");
        context.addServlet(new ServletHolder(fhir), "/fhir/*");
        jetty.setHandler(context);
        jetty.start();
        return connector.getLocalPort();
    }

    private static void awaitMetadata(String url) throws Exception {
        HttpRequest request =
                HttpRequest.newBuilder(URI.create(url + "/metadata")).timeout(PATIENCE).build();
        HttpResponse<Void> answer =
                HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
        if (answer.statusCode() != 200) {
            System.err.println("/metadata answered " + answer.statusCode());
            System.exit(3);
        }
    }
}
