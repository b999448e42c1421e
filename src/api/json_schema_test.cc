// What is refused, by name and place. What grammars accept is tested where there is a reader of
// grammars: src/engine/llama/grammar_test.cc.
#include "api/json_schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/number_grammar.h"
#include "api/pattern_grammar.h"

namespace penstock {
namespace {

using testing::HasSubstr;

Result<std::string> GrammarOf(std::string_view schema) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  EXPECT_FALSE(parser.parse(simdjson::padded_string(schema)).get(root)) << schema;
  return GrammarOfSchema(root, "s");
}

struct Bad {
  const char* schema;
  const char* field;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.schema; }
class SchemaRefuses : public testing::TestWithParam<Bad> {};

TEST_P(SchemaRefuses, NamesKeywordAndPlace) {
  const auto grammar = GrammarOf(GetParam().schema);
  ASSERT_FALSE(grammar) << *grammar;
  EXPECT_EQ(grammar.error().code, Code::kInvalidArgument);
  EXPECT_EQ(grammar.error().field, GetParam().field);
  EXPECT_THAT(grammar.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Schemas, SchemaRefuses,
    testing::Values(
        Bad{"5", "s", "a schema: an object or a boolean, not 5"},
        Bad{"false", "s", "no value would do"},
        Bad{R"({"not":{}})", "s.not", "`s.not` is not supported"},
        Bad{R"({"type":"object","minProperties":1})", "s.minProperties", "not supported"},
        Bad{R"({"type":"object","properties":{"a":{"if":{}}}})", "s.properties.a.if", "supported"},
        Bad{R"({"type":"object","patternProperties":{}})", "s.patternProperties", "supported"},
        Bad{R"({"type":"array","uniqueItems":true})", "s.uniqueItems", "not supported"},
        Bad{R"({"type":"array","contains":{}})", "s.contains", "not supported"},
        Bad{R"({"type":"number","multipleOf":2})", "s.multipleOf", "not supported"},
        Bad{R"({"type":"number","exclusiveMinimum":0})", "s.exclusiveMinimum", "not supported"},
        Bad{R"({"type":"number","minimum":0.5})", "s.minimum", "a whole number"},
        Bad{R"({"type":"integer","minimum":1e16})", "s.minimum", "999999999999999"},
        Bad{R"({"type":"integer","minimum":5,"maximum":4})", "s", "no integer"},
        Bad{R"({"type":"number","minimum":5,"maximum":4})", "s", "no number"},
        Bad{R"({"type":"integer","exclusiveMinimum":4,"maximum":4})", "s", "no integer"},
        Bad{R"({"type":"string","minLength":5,"maxLength":4})", "s", "at least 5 and at most 4"},
        Bad{R"({"type":"string","maxLength":1001})", "s.maxLength", "[0, 1000], not 1001"},
        Bad{R"({"type":"string","minLength":-1})", "s.minLength", "[0, 1000], not -1"},
        Bad{R"({"type":"string","format":"uri"})", "s.format", "one of date, time"},
        Bad{R"x({"type":"string","pattern":"a","minLength":1})x", "s", "only one of them"},
        Bad{R"x({"type":"string","pattern":"a(?=b)"})x", "s.pattern", "(?"},
        Bad{R"x({"type":"string","pattern":"\\bword"})x", "s.pattern", "has \\b"},
        Bad{R"x({"type":"string","pattern":"(a)\\1"})x", "s.pattern", "has \\1"},
        Bad{R"x({"type":"string","pattern":"^a|b$"})x", "s.pattern", "one of several"},
        Bad{R"x({"type":"string","pattern":"a^b"})x", "s.pattern", "elsewhere"},
        Bad{R"x({"type":"string","pattern":"a{2,1}"})x", "s.pattern", "{m,n}"},
        Bad{R"x({"type":"string","pattern":"a{1001}"})x", "s.pattern", "1000"},
        Bad{R"x({"type":"string","pattern":"a*?"})x", "s.pattern", "behind a quantifier"},
        Bad{R"x({"type":"string","pattern":"*"})x", "s.pattern", "nothing stands"},
        Bad{R"x({"type":"string","pattern":"(a"})x", "s.pattern", "unmatched ("},
        Bad{R"x({"type":"string","pattern":"a)"})x", "s.pattern", "unmatched )"},
        Bad{R"x({"type":"string","pattern":"[a"})x", "s.pattern", "unmatched ["},
        Bad{R"x({"type":"string","pattern":"[b-a]"})x", "s.pattern", "a range that is none"},
        Bad{R"x({"type":"string","pattern":"[]"})x", "s.pattern", "no character"},
        Bad{R"x({"type":"string","pattern":"a\\"})x", "s.pattern", "backslash"},
        Bad{R"({"type":"text"})", "s.type", "one of object"},
        Bad{R"({"type":[]})", "s.type", "one of object"},
        Bad{R"({"type":["string","string"]})", "s.type", "one of object"},
        Bad{R"({"minLength":3})", "s.minLength", "not supported here"},
        Bad{R"({"type":"object","properties":[]})", "s.properties", "an object"},
        Bad{R"({"type":"object","required":["a"]})", "s.required", "\"a\""},
        Bad{R"({"type":"object","required":"a"})", "s.required", "a list of strings"},
        Bad{R"({"type":"object","properties":{"a":{},"a":{}}})", "s.properties.a", "twice"},
        Bad{R"({"anyOf":[]})", "s.anyOf", "at least one"},
        Bad{R"({"anyOf":[{}],"type":"object"})", "s.type", "not supported here"},
        Bad{R"({"allOf":[{},{}]})", "s.allOf", "one schema"},
        Bad{R"({"enum":[]})", "s.enum", "at least one"},
        Bad{R"({"enum":[1,"a"],"type":"string"})", "s.enum", "holds 1"},
        Bad{R"({"const":1.5,"type":"integer"})", "s.const", "holds 1.5"},
        Bad{R"({"$ref":"#/$defs/a"})", "s.$ref", "must point into"},
        Bad{R"({"$ref":"http://example.com/a"})", "s.$ref", "must point into"},
        Bad{R"({"$ref":"#","type":"object"})", "s.type", "not supported here"},
        Bad{R"({"prefixItems":[{}],"minItems":2})", "s.prefixItems", "as many"},
        Bad{R"({"prefixItems":[{}],"items":{}})", "s.prefixItems", "without"}));

TEST(Schema, TakesAnnotationsAndExtensions) {
  EXPECT_TRUE(GrammarOf(R"({"title":"a","description":"b","default":1,"examples":[],"$id":"c",)"
                        R"("$schema":"d","$comment":"e","x-order":1,"type":"object"})"));
}

TEST(Schema, EndsWhereItIsTooLarge) {
  std::string many = R"({"type":"object","properties":{)";
  for (int i = 0; i < 3000; ++i) many += fmt::format(R"({}"p{}":{{}})", i == 0 ? "" : ",", i);
  const auto grammar = GrammarOf(many + "}}");
  ASSERT_FALSE(grammar);
  EXPECT_THAT(grammar.error().message, HasSubstr("4096 rules"));

  std::string lengths = R"({"anyOf":[)";
  for (int i = 0; i <= 20; ++i) {
    lengths += fmt::format(R"({}{{"type":"string","maxLength":{}}})", i == 0 ? "" : ",",
                           internal::kRepetitionsMax);
  }
  const auto long_texts = GrammarOf(lengths + "]}");
  ASSERT_FALSE(long_texts);
  EXPECT_THAT(long_texts.error().message, HasSubstr("20000"));
}

TEST(Schema, EndsWhereReferencesNestTooDeeply) {
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 300; ++i) {
    chain += fmt::format(R"("d{}":{{"$ref":"#/$defs/d{}"}},)", i, i + 1);
  }
  const auto grammar = GrammarOf(chain + R"("d300":{}}})");
  ASSERT_FALSE(grammar);
  EXPECT_THAT(grammar.error().message, HasSubstr("128"));
}

TEST(Schema, VisitsWhatIsReferredToOnce) {
  const auto grammar =
      GrammarOf(R"({"type":"array","prefixItems":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],)"
                R"("$defs":{"a":{"enum":["only-once"]}}})");
  ASSERT_TRUE(grammar) << grammar.error().message;
  const std::size_t first = grammar->find("only-once");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(grammar->find("only-once", first + 1), std::string::npos);
}

}  // namespace
}  // namespace penstock
