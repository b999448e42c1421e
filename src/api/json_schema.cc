// A schema's nodes become rules; a rule for each node, and for each place of an object's
// properties.
#include "api/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "api/number_grammar.h"
#include "api/schema_writer.h"

namespace penstock {
namespace internal {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::string_view, 12> kAnnotations = {
    "title",    "description", "default",   "examples",   "$schema", "$id",
    "$comment", "readOnly",    "writeOnly", "deprecated", "$defs",   "definitions"};
constexpr std::array<std::string_view, 7> kTypes = {"object", "array",   "string", "integer",
                                                    "number", "boolean", "null"};

bool Contains(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// The keywords that say more of a type's values.
std::span<const std::string_view> KeywordsOf(std::string_view type) {
  static constexpr std::array<std::string_view, 3> kObject = {"properties", "required",
                                                              "additionalProperties"};
  static constexpr std::array<std::string_view, 4> kArray = {"items", "prefixItems", "minItems",
                                                             "maxItems"};
  static constexpr std::array<std::string_view, 4> kString = {"minLength", "maxLength", "pattern",
                                                              "format"};
  static constexpr std::array<std::string_view, 4> kNumber = {
      "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
  if (type == "object") return kObject;
  if (type == "array") return kArray;
  if (type == "string") return kString;
  if (type == "integer") return kNumber;
  if (type == "number") return std::span(kNumber).first(2);
  return {};
}

// What every grammar may refer to. No character of a string is a surrogate, escaped or not.
constexpr std::string_view kCommonRules = R"(ws ::= | " " | "\n" [ \t]{0,20}
char ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))
string ::= "\"" char* "\""
boolean ::= "true" | "false"
null ::= "null"
member ::= string ws ":" ws value
object ::= "{" ws (member (ws "," ws member)* ws)? "}"
array ::= "[" ws (value (ws "," ws value)* ws)? "]"
value ::= object | array | string | number | boolean | null
)";

std::string CommonRules() {
  return fmt::format("{}number ::= {}\n", kCommonRules, GrammarOfNumbers({}, {}));
}

std::string_view TypeOf(dom::element value) {
  switch (value.type()) {
    case dom::element_type::OBJECT:
      return "object";
    case dom::element_type::ARRAY:
      return "array";
    case dom::element_type::STRING:
      return "string";
    case dom::element_type::BOOL:
      return "boolean";
    case dom::element_type::NULL_VALUE:
      return "null";
    default:
      break;
  }
  double number = 0;
  if (!value.get_double().get(number) && number == std::floor(number)) return "integer";
  return "number";
}

}  // namespace

std::string GrammarLiteral(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Result<std::string> SchemaWriter::Write() {
  const std::string rule = Visit(root_, std::string(path_), 0);
  if (failure_) return Fail(std::move(*failure_));
  return fmt::format("root ::= {}\n{}{}", rule, rules_, CommonRules());
}

std::string SchemaWriter::NewName() { return fmt::format("r{}", rules_count_++); }

std::string SchemaWriter::Define(std::string name, std::string_view body) {
  rules_ += fmt::format("{} ::= {}\n", name, body);
  if (rules_count_ > kSchemaRulesMax || rules_.size() > kGrammarBytesMax) {
    Refuse(std::string(path_),
           fmt::format("`{}` is too large: its grammar has more than {} rules or {} bytes", path_,
                       kSchemaRulesMax, kGrammarBytesMax));
  }
  return name;
}

// Only `allowed` and annotations may stand in a node.
void SchemaWriter::CheckKeywords(const SchemaNode& node,
                                 std::span<const std::string_view> allowed) {
  for (const dom::key_value_pair field : node.fields) {
    if (Contains(allowed, field.key) || Contains(kAnnotations, field.key) ||
        field.key.starts_with("x-")) {
      continue;
    }
    Refuse(node.PathOf(field.key.substr(0, 64)),
           fmt::format("`{}` is not supported here", node.PathOf(field.key.substr(0, 64))));
  }
}

void SchemaWriter::CheckKeywordsOfTypes(const SchemaNode& node,
                                        std::span<const std::string_view> types) {
  std::vector<std::string_view> allowed = {"type"};
  for (const std::string_view type : types) {
    const auto keywords = KeywordsOf(type);
    allowed.insert(allowed.end(), keywords.begin(), keywords.end());
  }
  CheckKeywords(node, allowed);
}

std::string SchemaWriter::Visit(dom::element value, std::string path, int depth) {
  if (failure_) return {};
  if (depth > kSchemaDepthMax) {
    Refuse(path, fmt::format("`{}` is nested too deeply: more than {} schemas, references included",
                             path_, kSchemaDepthMax));
    return {};
  }
  bool any = false;
  if (!value.get_bool().get(any)) {
    if (!any) Refuse(path, fmt::format("`{}` is false: no value would do", path));
    return "value";
  }
  SchemaNode node{.fields = {}, .path = std::move(path)};
  if (value.get_object().get(node.fields)) {
    RefuseTypeAt(failure_, node.path, "a schema: an object or a boolean", value);
    return {};
  }
  if (const auto target = node.Find("$ref")) return Reference(node, *target, depth);
  for (const std::string_view key : {"anyOf", "oneOf", "allOf"}) {
    if (const auto list = node.Find(key)) return Alternatives(node, key, *list, depth);
  }
  for (const std::string_view key : {"const", "enum"}) {
    if (const auto list = node.Find(key)) return Values(node, key, *list);
  }
  const std::vector<std::string_view> types = TypesOf(node);
  CheckKeywordsOfTypes(node, types);
  if (failure_) return {};
  if (types.empty()) return "value";
  if (types.size() == 1) return Typed(node, types[0], depth);
  std::string body;
  for (const std::string_view type : types) {
    if (!body.empty()) body += " | ";
    body += Typed(node, type, depth);
  }
  return AddRule(body);
}

std::string SchemaWriter::Reference(const SchemaNode& node, dom::element target, int depth) {
  static constexpr std::array<std::string_view, 1> kAllowed = {"$ref"};
  CheckKeywords(node, kAllowed);
  std::string_view pointer;
  dom::element place;
  if (target.get_string().get(pointer) || !pointer.starts_with("#") ||
      (pointer != "#" && root_.at_pointer(pointer.substr(1)).get(place))) {
    Refuse(node.PathOf("$ref"),
           fmt::format("`{}` must point into this schema (\"#/$defs/NAME\"), not {}",
                       node.PathOf("$ref"), Shown(target)));
    return {};
  }
  if (pointer == "#") place = root_;
  const auto [known, fresh] = references_.try_emplace(std::string(pointer), "");
  if (!fresh) return known->second;
  // Named before it is visited: it may lead back here.
  const std::string name = NewName();
  known->second = name;
  const std::string body = Visit(
      place, fmt::format("{}{}", path_, pointer.substr(pointer.size() > 1 ? 1 : 0)), depth + 1);
  return Define(name, body);
}

std::string SchemaWriter::Alternatives(const SchemaNode& node, std::string_view key,
                                       dom::element list, int depth) {
  const std::array<std::string_view, 1> allowed = {key};
  CheckKeywords(node, allowed);
  dom::array items;
  if (list.get_array().get(items) || items.size() == 0 || (key == "allOf" && items.size() > 1)) {
    Refuse(node.PathOf(key), fmt::format("`{}` must be a list of {}", node.PathOf(key),
                                         key == "allOf" ? "one schema: more are not supported"
                                                        : "at least one schema"));
    return {};
  }
  std::string body;
  std::size_t index = 0;
  for (const dom::element item : items) {
    if (failure_) return {};
    if (!body.empty()) body += " | ";
    body += Visit(item, ItemPath(node.PathOf(key), index++), depth + 1);
  }
  return AddRule(body);
}

std::string SchemaWriter::Values(const SchemaNode& node, std::string_view key, dom::element list) {
  const std::array<std::string_view, 2> allowed = {key, "type"};
  CheckKeywords(node, allowed);
  const std::vector<std::string_view> types = TypesOf(node);
  std::vector<dom::element> values;
  dom::array items;
  if (key == "const") {
    values.push_back(list);
  } else if (!list.get_array().get(items)) {
    values.assign(items.begin(), items.end());
  }
  if (values.empty()) {
    Refuse(node.PathOf(key),
           fmt::format("`{}` must be a list of at least one value", node.PathOf(key)));
    return {};
  }
  std::string body;
  for (const dom::element value : values) {
    const std::string_view type = TypeOf(value);
    if (!types.empty() && !Contains(types, type) &&
        !(type == "integer" && Contains(types, "number"))) {
      Refuse(node.PathOf(key),
             fmt::format("`{}` holds {}, which is not of the type that `{}` asks for",
                         node.PathOf(key), Shown(value), node.PathOf("type")));
      return {};
    }
    if (!body.empty()) body += " | ";
    body += GrammarLiteral(simdjson::minify(value));
  }
  return AddRule(body);
}

// The types that a node allows; without `type`, the one that its keywords are about. Empty: any.
std::vector<std::string_view> SchemaWriter::TypesOf(const SchemaNode& node) {
  std::vector<std::string_view> types;
  const auto given = node.Find("type");
  if (!given) {
    if (node.Find("properties") || node.Find("required") || node.Find("additionalProperties")) {
      types.emplace_back("object");
    } else if (node.Find("items") || node.Find("prefixItems")) {
      types.emplace_back("array");
    }
    return types;
  }
  const auto add = [&](dom::element value) {
    std::string_view type;
    if (value.get_string().get(type) || !Contains(kTypes, type) || Contains(types, type)) {
      Refuse(node.PathOf("type"),
             fmt::format("`{}` must be one of {}, or a list of them, not {}", node.PathOf("type"),
                         fmt::join(kTypes, ", "), Shown(*given)));
      return;
    }
    types.push_back(type);
  };
  dom::array list;
  if (given->get_array().get(list)) {
    add(*given);
  } else {
    for (const dom::element item : list) add(item);
    if (types.empty()) add(*given);
  }
  return types;
}

std::string SchemaWriter::Typed(const SchemaNode& node, std::string_view type, int depth) {
  if (type == "object") return Object(node, depth);
  if (type == "array") return Array(node, depth);
  if (type == "string") return String(node);
  if (type == "integer") return Integer(node);
  if (type == "number") return Number(node);
  return std::string(type);
}

}  // namespace internal

Result<std::string> GrammarOfSchema(simdjson::dom::element schema, std::string_view path) {
  return internal::SchemaWriter(schema, path).Write();
}

std::string GrammarOfAnyObject() { return "root ::= object\n" + internal::CommonRules(); }

}  // namespace penstock
