package fhirsvc.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Command-line flags: {@code --name value} (repeatable), {@code --switch}, and plain words. */
final class Flags {
    private final Map<String, List<String>> values = new HashMap<>();
    final List<String> words = new ArrayList<>();

    /** Reads {@code args}; an unknown flag or a flag without its value ends the program with 2. */
    Flags(String[] args, Set<String> withValue, Set<String> switches) {
        for (int i = 0; i < args.length; i++) {
            if (!args[i].startsWith("--")) {
                words.add(args[i]);
            } else if (switches.contains(args[i])) {
                values.put(args[i], List.of(""));
            } else if (withValue.contains(args[i]) && i + 1 < args.length) {
                values.computeIfAbsent(args[i], name -> new ArrayList<>()).add(args[++i]);
            } else {
                System.err.println("unknown flag or missing value: " + args[i]
                        + "; known: " + withValue + " with a value, " + switches + " without");
                System.exit(2);
            }
        }
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    String get(String name, String otherwise) {
        List<String> given = all(name);
        return given.isEmpty() ? otherwise : given.get(given.size() - 1);
    }

    List<String> all(String name) {
        return values.getOrDefault(name, List.of());
    }
}
