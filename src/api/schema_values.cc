// What a schema says of each type's values: objects, arrays, strings, numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "api/json_schema.h"
#include "api/json_text.h"
#include "api/number_grammar.h"
#include "api/pattern_grammar.h"
#include "api/schema_writer.h"

namespace penstock::internal {
namespace {

namespace dom = simdjson::dom;

bool Contains(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

void SchemaWriter::CheckRequired(const SchemaNode& node, std::vector<std::string_view>& required) {
  const auto given = node.Find("required");
  if (!given) return;
  dom::array list;
  bool bad = given->get_array().get(list) != simdjson::SUCCESS;
  if (!bad) {
    for (const dom::element item : list) {
      std::string_view name;
      bad = bad || item.get_string().get(name);
      required.push_back(name);
    }
  }
  if (bad) RefuseTypeAt(failure_, node.PathOf("required"), "a list of strings", *given);
}

// `{` and properties in their order: a rule for each place among them, once where a comma is due
// and once where none is.
std::string SchemaWriter::Object(const SchemaNode& node, int depth) {
  std::vector<std::string_view> required;
  CheckRequired(node, required);
  struct Property {
    std::string member;
    bool required;
  };
  std::vector<Property> properties;
  const auto add = [&](std::string_view name, const std::string& value) {
    std::string key;
    AppendJsonString(key, name);
    properties.push_back(
        {fmt::format("{} ws \":\" ws {}", GrammarLiteral(key), value), Contains(required, name)});
  };
  std::vector<std::string_view> names;
  if (const auto given = node.Find("properties")) {
    dom::object fields;
    if (given->get_object().get(fields)) {
      RefuseTypeAt(failure_, node.PathOf("properties"), "an object", *given);
      return {};
    }
    for (const dom::key_value_pair field : fields) {
      if (failure_) return {};
      const std::string path =
          fmt::format("{}.{}", node.PathOf("properties"), field.key.substr(0, 64));
      if (Contains(names, field.key)) {
        Refuse(path, fmt::format("`{}` is given twice", path));
        return {};
      }
      names.push_back(field.key);
      add(field.key, Visit(field.value, path, depth + 1));
    }
  }
  for (const std::string_view name : required) {
    if (Contains(names, name)) continue;
    Refuse(node.PathOf("required"),
           fmt::format("`{}` names \"{}\", which `{}` does not describe", node.PathOf("required"),
                       name.substr(0, 64), node.PathOf("properties")));
  }
  if (failure_) return {};
  if (properties.empty()) return AnyMembers(node, depth);
  std::string first = "\"\"";  // From the last place to the first.
  std::string later = "\"\"";
  for (auto property = properties.rbegin(); property != properties.rend(); ++property) {
    const std::string here = property->member + " " + later;
    const std::string behind = "ws \",\" ws " + here;
    first = AddRule(property->required ? here : here + " | " + first);
    later = AddRule(property->required ? behind : behind + " | " + later);
  }
  return AddRule("\"{\" ws " + first + " ws \"}\"");
}

// An object whose properties have no names in the schema.
std::string SchemaWriter::AnyMembers(const SchemaNode& node, int depth) {
  const auto additional = node.Find("additionalProperties");
  if (!additional) return "object";
  bool allowed = false;
  if (!additional->get_bool().get(allowed)) return allowed ? "object" : "\"{\" ws \"}\"";
  const std::string member = AddRule(
      "string ws \":\" ws " + Visit(*additional, node.PathOf("additionalProperties"), depth + 1));
  return AddRule(fmt::format("\"{{\" ws ({0} (ws \",\" ws {0})* ws)? \"}}\"", member));
}

std::optional<int> SchemaWriter::Count(const SchemaNode& node, std::string_view key) {
  const auto given = node.Find(key);
  if (!given) return std::nullopt;
  std::int64_t count = 0;
  if (given->get_int64().get(count) || count < 0 || count > kRepetitionsMax) {
    RefuseTypeAt(failure_, node.PathOf(key), fmt::format("an integer in [0, {}]", kRepetitionsMax),
                 *given);
    return std::nullopt;
  }
  return static_cast<int>(count);
}

std::string SchemaWriter::Repeated(const SchemaNode& node, std::string_view item, int least,
                                   std::optional<int> most) {
  repetitions_ += most.value_or(least);
  if (most && *most < least) {
    Refuse(node.path,
           fmt::format("`{}` asks for at least {} and at most {}", node.path, least, *most));
  }
  if (repetitions_ > kSchemaRepetitionsMax) {
    Refuse(node.path, fmt::format("`{}` is too large: lengths and counts are more than {} together",
                                  path_, kSchemaRepetitionsMax));
  }
  if (most == 0) return "\"\"";
  return most ? fmt::format("{}{{{},{}}}", item, least, *most)
              : fmt::format("{}{{{},}}", item, least);
}

std::string SchemaWriter::Array(const SchemaNode& node, int depth) {
  const int least = Count(node, "minItems").value_or(0);
  const std::optional<int> most = Count(node, "maxItems");
  if (const auto prefix = node.Find("prefixItems")) {
    dom::array items;
    if (prefix->get_array().get(items) || items.size() == 0 ||
        items.size() < static_cast<std::size_t>(least) ||
        (most && items.size() > static_cast<std::size_t>(*most)) || node.Find("items")) {
      Refuse(node.PathOf("prefixItems"),
             fmt::format("`{}` must be a list of schemas, as many as the array may have, without "
                         "`items`",
                         node.PathOf("prefixItems")));
      return {};
    }
    return Tuple(node, items, depth);
  }
  const auto items = node.Find("items");
  if (most == 0) return "\"[\" ws \"]\"";
  const std::string item = items ? Visit(*items, node.PathOf("items"), depth + 1) : "value";
  const std::string more = AddRule("ws \",\" ws " + item);
  std::optional<int> most_more;
  if (most) most_more = *most - 1;
  const std::string body = item + " " + Repeated(node, more, std::max(least - 1, 0), most_more);
  return AddRule(fmt::format("\"[\" ws ({} ws){} \"]\"", body, least == 0 ? "?" : ""));
}

std::string SchemaWriter::Tuple(const SchemaNode& node, dom::array items, int depth) {
  std::string body = "\"[\" ws";
  std::size_t index = 0;
  for (const dom::element item : items) {
    if (failure_) return {};
    if (index > 0) body += " ws \",\" ws";
    body += " " + Visit(item, ItemPath(node.PathOf("prefixItems"), index++), depth + 1);
  }
  return AddRule(body + " ws \"]\"");
}

std::string SchemaWriter::String(const SchemaNode& node) {
  const std::optional<int> least = Count(node, "minLength");
  const std::optional<int> most = Count(node, "maxLength");
  std::string_view word;
  std::string_view pattern;
  std::string_view keyword = "pattern";
  if (const auto format = node.Find("format")) {
    keyword = "format";
    if (!format->get_string().get(word)) pattern = PatternOfFormat(word);
    if (pattern.empty()) {
      Refuse(node.PathOf("format"), fmt::format("`{}` must be one of {}, not {}",
                                                node.PathOf("format"), kFormats, Shown(*format)));
      return {};
    }
  }
  const auto given = node.Find("pattern");
  if (given && given->get_string().get(pattern)) {
    RefuseTypeAt(failure_, node.PathOf("pattern"), "a string", *given);
    return {};
  }
  if (!given && pattern.empty()) {
    if (!least && !most) return "string";
    return AddRule("\"\\\"\" " + Repeated(node, "char", least.value_or(0), most) + " \"\\\"\"");
  }
  if (least || most || (given && keyword == "format")) {
    Refuse(node.path,
           fmt::format("`{}` has `{}` and another limit of its text: only one of them is "
                       "supported",
                       node.path, keyword));
    return {};
  }
  const auto body = GrammarOfPattern(pattern);
  if (!body) {
    Refuse(node.PathOf("pattern"),
           fmt::format("`{}` {}", node.PathOf("pattern"), body.error().message));
    return {};
  }
  return AddRule("\"\\\"\" " + *body + " \"\\\"\"");
}

std::optional<std::int64_t> SchemaWriter::Bound(const SchemaNode& node, std::string_view key) {
  const auto given = node.Find(key);
  if (!given) return std::nullopt;
  double bound = 0;
  if (given->get_double().get(bound) || bound != std::floor(bound) ||
      std::abs(bound) > static_cast<double>(kIntegerMax)) {
    RefuseTypeAt(failure_, node.PathOf(key),
                 fmt::format("a whole number in [-{0}, {0}]", kIntegerMax), *given);
    return std::nullopt;
  }
  return static_cast<std::int64_t>(bound);
}

std::string SchemaWriter::Integer(const SchemaNode& node) {
  std::optional<std::int64_t> low = Bound(node, "minimum");
  std::optional<std::int64_t> high = Bound(node, "maximum");
  if (const auto above = Bound(node, "exclusiveMinimum"))
    low = std::max(low.value_or(*above), *above + 1);
  if (const auto below = Bound(node, "exclusiveMaximum"))
    high = std::min(high.value_or(*below), *below - 1);
  if (failure_) return {};
  if (low.value_or(-kIntegerMax) > high.value_or(kIntegerMax)) {
    Refuse(node.path, fmt::format("`{}`: no integer is within its bounds", node.path));
    return {};
  }
  return AddRule(GrammarOfIntegers(low, high));
}

std::string SchemaWriter::Number(const SchemaNode& node) {
  const std::optional<std::int64_t> low = Bound(node, "minimum");
  const std::optional<std::int64_t> high = Bound(node, "maximum");
  if (failure_) return {};
  if (low && high && *low > *high) {
    Refuse(node.path, fmt::format("`{}`: no number is within its bounds", node.path));
    return {};
  }
  return AddRule(GrammarOfNumbers(low, high));
}

}  // namespace penstock::internal
