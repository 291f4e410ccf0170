package fhirsvc.interop;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * The reference validator over NDJSON: one resource a line in, one JSON answer a line out.
 *
 * <p>{@code [FILE|-]} {@code --ig FILE.tgz} (repeatable), {@code --profile URL} (for every
 * resource), {@code --profiles MAP.json} (see {@link Profiles}). Each answer is flushed at once, so
 * a program may hold both ends open; a line {@code {"profiles": MAP}} changes the map from there on
 * and is answered by {@code {"profiles": N, "unknown": [URL…]}}. The last line is a summary. Exits
 * 1 on any error, 2 when a profile of the command line is in none of the packages.
 */
public final class Validate {
    private final FhirContext fhir = FhirContext.forR4Cached();
    private final Gson gson = new GsonBuilder().serializeNulls().create();
    private final PrintStream out =
            new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    private final Rules rules;
    private final FhirValidator validator;
    private Profiles profiles;
    private int resources;
    private int errors;
    private int warnings;

    private Validate(Rules rules, Profiles profiles) {
        this.rules = rules;
        this.profiles = profiles;
        validator = fhir.newValidator();
        validator.registerValidatorModule(rules.module());
    }

    /** Validates the file or standard input to its end. */
    public static void main(String[] args) throws Exception {
        Flags flags = new Flags(args, Set.of("--ig", "--profile", "--profiles"), Set.of());
        long start = System.nanoTime();
        Profiles profiles = new Profiles();
        for (String file : flags.all("--profiles")) {
            profiles.add(JsonParser.parseString(Files.readString(Path.of(file))).getAsJsonObject());
        }
        flags.all("--profile").forEach(profiles::always);
        Rules rules = new Rules(flags.all("--ig"));
        List<String> unknown = profiles.unknownTo(rules);
        if (!unknown.isEmpty()) {
            System.err.println("in none of the packages: " + unknown);
            System.exit(2);
        }
        Validate run = new Validate(rules, profiles);
        String file = flags.words.isEmpty() ? "-" : flags.words.get(0);
        try (BufferedReader lines = file.equals("-")
                ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                : Files.newBufferedReader(Path.of(file))) {
            run.answerEach(lines);
        }
        run.summary((System.nanoTime() - start) / 1e9);
        System.exit(run.errors > 0 ? 1 : 0);
    }

    private void answerEach(BufferedReader lines) throws IOException {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (!line.isBlank()) {
                out.println(gson.toJson(answer(line)));
                out.flush();
            }
        }
    }

    private JsonObject answer(String line) {
        JsonObject resource;
        try {
            resource = JsonParser.parseString(line).getAsJsonObject();
        } catch (JsonParseException | IllegalStateException notAnObject) {
            return refused(new JsonObject(), "the line is not a JSON object");
        }
        if (!resource.has("resourceType") && resource.get("profiles") instanceof JsonObject map) {
            return changeProfiles(map);
        }
        ValidationOptions options = new ValidationOptions();
        profiles.of(resource).forEach(options::addProfile);
        try {
            return report(resource, validator.validateWithResult(line, options).getMessages());
        } catch (RuntimeException unreadable) {
            // The parser's own message says what; the resource never reached the rules.
            return refused(resource, String.valueOf(unreadable.getMessage()));
        }
    }

    private JsonObject changeProfiles(JsonObject map) {
        profiles = new Profiles();
        profiles.add(map);
        JsonObject answer = new JsonObject();
        answer.addProperty("profiles", map.size());
        answer.add("unknown", gson.toJsonTree(profiles.unknownTo(rules)));
        return answer;
    }

    private JsonObject report(JsonObject resource, List<SingleValidationMessage> messages) {
        JsonArray found = new JsonArray();
        int warned = 0;
        for (SingleValidationMessage message : messages) {
            if (message.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0) {
                found.add(issue(
                        message.getLocationString(), message.getMessage(), message.getSeverity().getCode()));
            } else if (message.getSeverity() == ResultSeverityEnum.WARNING) {
                warned++;
            }
        }
        return line(resource, found, warned);
    }

    private JsonObject refused(JsonObject resource, String why) {
        JsonArray found = new JsonArray();
        found.add(issue("", why, "fatal"));
        return line(resource, found, 0);
    }

    private static JsonObject issue(String location, String message, String severity) {
        JsonObject issue = new JsonObject();
        issue.addProperty("location", location == null ? "" : location);
        issue.addProperty("message", message);
        issue.addProperty("severity", severity);
        return issue;
    }

    private JsonObject line(JsonObject resource, JsonArray found, int warned) {
        JsonObject line = new JsonObject();
        line.addProperty("index", resources++);
        line.addProperty("resourceType", Profiles.text(resource, "resourceType").orElse(null));
        line.addProperty("id", Profiles.text(resource, "id").orElse(null));
        line.add("errors", found);
        line.addProperty("warnings", warned);
        errors += found.size();
        warnings += warned;
        return line;
    }

    private void summary(double seconds) {
        JsonObject summary = new JsonObject();
        summary.addProperty("resources", resources);
        summary.addProperty("errors", errors);
        summary.addProperty("warnings", warnings);
        summary.addProperty("seconds", Math.round(seconds * 1000) / 1000.0);
        out.println(gson.toJson(summary));
        out.flush();
    }
}
