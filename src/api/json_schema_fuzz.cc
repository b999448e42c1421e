// Properties: no schema crashes the writer of grammars; what it writes is within its limits and
// defines each rule that it uses once.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "api/json_schema.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckRules(const std::string& rules) {
  // A rule may pass the limit before it is noticed.
  Require(rules.size() <= 2 * penstock::kGrammarBytesMax);
  std::set<std::string> names;
  std::size_t begin = 0;
  while (begin < rules.size()) {
    const std::size_t end = rules.find('\n', begin);
    Require(end != std::string::npos);
    const std::string line = rules.substr(begin, end - begin);
    const std::size_t name = line.find(" ::= ");
    Require(name != std::string::npos && name > 0);
    Require(names.insert(line.substr(0, name)).second);
    begin = end + 1;
  }
  Require(names.contains("root"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  simdjson::dom::parser parser;
  simdjson::dom::element schema;
  const simdjson::padded_string text(reinterpret_cast<const char*>(bytes), size);
  if (parser.parse(text).get(schema)) return 0;
  const auto rules = penstock::GrammarOfSchema(schema, "schema");
  if (rules) CheckRules(*rules);
  return 0;
}
