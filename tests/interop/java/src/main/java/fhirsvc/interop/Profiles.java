package fhirsvc.interop;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which profiles a resource is checked against, besides base R4.
 *
 * <p>A map from {@code Type} or {@code Type|category code} to a profile URL or a list of them. A
 * resource whose category holds the code takes that row; one without such a row takes the plain
 * {@code Type} row, if there is one.
 */
final class Profiles {
    private final Map<String, List<String>> rows = new HashMap<>();
    private final List<String> always = new ArrayList<>();

    void add(JsonObject map) {
        for (Map.Entry<String, JsonElement> row : map.entrySet()) {
            List<String> urls = rows.computeIfAbsent(row.getKey(), key -> new ArrayList<>());
            JsonElement value = row.getValue();
            if (value.isJsonArray()) {
                value.getAsJsonArray().forEach(url -> urls.add(url.getAsString()));
            } else {
                urls.add(value.getAsString());
            }
        }
    }

    void always(String url) {
        always.add(url);
    }

    List<String> unknownTo(Rules rules) {
        Set<String> named = new HashSet<>(always);
        rows.values().forEach(named::addAll);
        return named.stream().filter(url -> !rules.knowsProfile(url)).sorted().toList();
    }

    List<String> of(JsonObject resource) {
        List<String> chosen = new ArrayList<>(always);
        String type = text(resource, "resourceType").orElse("");
        int before = chosen.size();
        for (String code : categories(resource)) {
            chosen.addAll(rows.getOrDefault(type + "|" + code, List.of()));
        }
        if (chosen.size() == before) {
            chosen.addAll(rows.getOrDefault(type, List.of()));
        }
        return chosen;
    }

    /** The codes of {@code category.coding}; whatever is not shaped so is the validator's to report. */
    private static Set<String> categories(JsonObject resource) {
        Set<String> codes = new HashSet<>();
        for (JsonElement category : items(resource.get("category"))) {
            if (category.isJsonObject()) {
                for (JsonElement coding : items(category.getAsJsonObject().get("coding"))) {
                    if (coding.isJsonObject()) {
                        text(coding.getAsJsonObject(), "code").ifPresent(codes::add);
                    }
                }
            }
        }
        return codes;
    }

    /** The member {@code name} when it is a string, number or boolean. */
    static Optional<String> text(JsonObject object, String name) {
        return Optional.ofNullable(object.get(name))
                .filter(JsonElement::isJsonPrimitive)
                .map(JsonElement::getAsString);
    }

    private static JsonArray items(JsonElement list) {
        return list != null && list.isJsonArray() ? list.getAsJsonArray() : new JsonArray();
    }
}
