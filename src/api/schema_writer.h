// SchemaWriter: a schema's nodes become rules of a grammar; for the files of this folder only.
//
// Each node is a rule, and so is each place among an object's properties. The first mistake sticks.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/object_reader.h"
#include "base/result.h"

namespace penstock::internal {

// The text as a grammar's literal.
std::string GrammarLiteral(std::string_view text);

// A node: an object of the schema, and where it stands.
struct SchemaNode {
  simdjson::dom::object fields;
  std::string path;

  std::optional<simdjson::dom::element> Find(std::string_view key) const {
    simdjson::dom::element value;
    if (fields.at_key(key).get(value)) return std::nullopt;
    return value;
  }
  std::string PathOf(std::string_view key) const { return path + "." + std::string(key); }
};

class SchemaWriter {
 public:
  SchemaWriter(simdjson::dom::element root, std::string_view path) : root_(root), path_(path) {}

  // The rules, `root` first.
  Result<std::string> Write();

 private:
  // Each returns a rule's name, or an expression that may stand anywhere.
  std::string Visit(simdjson::dom::element value, std::string path, int depth);
  std::string Reference(const SchemaNode& node, simdjson::dom::element target, int depth);
  std::string Alternatives(const SchemaNode& node, std::string_view key,
                           simdjson::dom::element list, int depth);
  std::string Values(const SchemaNode& node, std::string_view key, simdjson::dom::element list);
  std::string Typed(const SchemaNode& node, std::string_view type, int depth);
  std::string Object(const SchemaNode& node, int depth);
  std::string AnyMembers(const SchemaNode& node, int depth);
  std::string Array(const SchemaNode& node, int depth);
  std::string Tuple(const SchemaNode& node, simdjson::dom::array items, int depth);
  std::string String(const SchemaNode& node);
  std::string Integer(const SchemaNode& node);
  std::string Number(const SchemaNode& node);

  std::vector<std::string_view> TypesOf(const SchemaNode& node);
  void CheckKeywords(const SchemaNode& node, std::span<const std::string_view> allowed);
  void CheckKeywordsOfTypes(const SchemaNode& node, std::span<const std::string_view> types);
  void CheckRequired(const SchemaNode& node, std::vector<std::string_view>& required);
  std::optional<int> Count(const SchemaNode& node, std::string_view key);
  std::optional<std::int64_t> Bound(const SchemaNode& node, std::string_view key);
  std::string Repeated(const SchemaNode& node, std::string_view item, int least,
                       std::optional<int> most);
  std::string AddRule(std::string_view body) { return Define(NewName(), body); }
  std::string NewName();
  std::string Define(std::string name, std::string_view body);

  void Refuse(const std::string& path, std::string message) {
    RefuseAt(failure_, path, std::move(message));
  }

  simdjson::dom::element root_;
  std::string_view path_;
  std::string rules_;
  std::size_t rules_count_ = 0;
  int repetitions_ = 0;
  std::unordered_map<std::string, std::string> references_;  // Rules by their pointer.
  std::optional<Error> failure_;
};

}  // namespace penstock::internal
