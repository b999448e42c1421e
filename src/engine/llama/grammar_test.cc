// Grammars of schemas as llama.cpp reads them: which texts they take, letter by letter.
#include "engine/llama/grammar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "api/json_schema.h"
#include "base/random.h"
#include "engine/llama/model.h"
#include "engine/llama/synth.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

// A model whose tokens are the bytes.
const Model& Bytes() {
  static const std::unique_ptr<Model> model = [] {
    SynthSpec spec = SynthPreset("toy").value();
    spec.vocabulary = "bytes-chat";
    const fs::path folder = fs::path(testing::TempDir()) / "grammar_test";
    fs::create_directories(folder);
    const std::string path = (folder / "bytes.gguf").string();
    EXPECT_TRUE(SynthesizeModel(spec, path));
    auto loaded = Model::Load(path);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return std::move(*loaded);
  }();
  return *model;
}

TokenId ByteToken(char byte) {
  const Tokenizer& tokenizer = Bytes().tokenizer();
  for (TokenId token = 0; token < tokenizer.size(); ++token) {
    if (tokenizer.Piece(token) == std::string_view(&byte, 1)) return token;
  }
  ADD_FAILURE() << "no token for byte " << static_cast<int>(byte);
  return 0;
}

TokenId End() { return Bytes().tokenizer().end_of_generation_tokens().front(); }

std::unique_ptr<Grammar> Compiled(const GrammarSpec& spec) {
  auto grammar = Grammar::Compile(Bytes().tokenizer(), spec, {});
  EXPECT_TRUE(grammar) << grammar.error().message << "\n" << spec.rules;
  return std::move(*grammar);
}

// How many bytes of the text are taken; one more where it may end there.
std::size_t Taken(const std::string& rules, std::string_view text) {
  const auto grammar = Compiled({.rules = rules});
  for (std::size_t i = 0; i < text.size(); ++i) {
    const TokenId token = ByteToken(text[i]);
    if (!grammar->Allows(token)) return i;
    EXPECT_TRUE(grammar->Accept(token));
  }
  EXPECT_EQ(grammar->MayEnd(), grammar->Allows(End()));
  return text.size() + (grammar->MayEnd() ? 1 : 0);
}

std::string RulesOf(std::string_view schema) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  EXPECT_FALSE(parser.parse(simdjson::padded_string(schema)).get(root)) << schema;
  auto rules = GrammarOfSchema(root, "schema");
  EXPECT_TRUE(rules) << rules.error().message;
  return rules.value_or("root ::= \"\"");
}

struct Case {
  const char* schema;
  std::vector<const char*> good;
  std::vector<const char*> bad;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.schema; }
class SchemaGrammar : public testing::TestWithParam<Case> {};

TEST_P(SchemaGrammar, TakesWhatTheSchemaDoesAndNothingElse) {
  const std::string rules = RulesOf(GetParam().schema);
  for (const std::string_view text : GetParam().good) {
    EXPECT_EQ(Taken(rules, text), text.size() + 1) << text << "\n" << rules;
  }
  for (const std::string_view text : GetParam().bad) {
    EXPECT_LE(Taken(rules, text), text.size()) << text << "\n" << rules;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schemas, SchemaGrammar,
    testing::Values(
        Case{"{}", {"1", "\"a\"", "null", "[1, {}]", "{\"a\": [true]}"}, {"", "01", "[1,]", "nul"}},
        Case{R"({"type":"object"})", {"{}", "{ }", "{\"a\":1,\"b\":{}}"}, {"[]", "{\"a\"}", "{,}"}},
        Case{R"({"type":"object","additionalProperties":false})", {"{}"}, {"{\"a\":1}"}},
        Case{R"({"type":"object","additionalProperties":{"type":"null"}})",
             {"{}", "{\"a\":null}"},
             {"{\"a\":1}"}},
        Case{R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},)"
             R"("required":["a","b"],"additionalProperties":false})",
             {"{\"a\":null,\"b\":null}", "{\n  \"a\": null,\n  \"b\": null\n}"},
             {"{}", "{\"a\":null}", "{\"b\":null,\"a\":null}", "{\"a\":null,\"b\":null,\"c\":1}"}},
        Case{R"({"properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},)"
             R"("required":["b"]})",
             {"{\"b\":null}", "{\"a\":null,\"b\":null}", "{\"b\":null,\"c\":null}",
              "{\"a\":null,\"b\":null,\"c\":null}"},
             {"{}", "{\"a\":null}", "{\"c\":null}", "{\"b\":null,}", "{,\"b\":null}"}},
        Case{R"({"type":"object","properties":{"a\"\\b":{"const":1}}})",
             {R"({"a\"\\b":1})", "{}"},
             {R"({"a":1})"}},
        Case{R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3})",
             {"[true]", "[true, false]", "[true,true,true]"},
             {"[]", "[true,true,true,true]", "[1]"}},
        Case{R"({"type":"array","items":{"const":1},"minItems":2})",
             {"[1,1]", "[1,1,1,1,1]"},
             {"[]", "[1]"}},
        Case{R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"}},
        Case{R"({"prefixItems":[{"const":1},{"const":"b"}]})", {"[1,\"b\"]"}, {"[1]", "[\"b\",1]"}},
        Case{R"({"enum":["a",1,null,{"x":[1]}]})",
             {"\"a\"", "1", "null", "{\"x\":[1]}"},
             {"\"b\"", "2", "{}"}},
        Case{R"({"const":"a\n\"ü"})", {R"("a\n\"ü")"}, {"\"a\""}},
        Case{R"({"anyOf":[{"type":"null"},{"type":"boolean"}]})", {"null", "true"}, {"1"}},
        Case{R"({"type":["string","null"],"maxLength":1})", {"\"a\"", "null"}, {"\"ab\"", "1"}},
        Case{R"({"allOf":[{"type":"null"}]})", {"null"}, {"1"}},
        Case{R"({"type":"string","minLength":1,"maxLength":2})",
             {"\"a\"", "\"ab\"", "\"\\n\"", "\"\\u00e9b\"", "\"üü\"", "\"\xF0\x9F\x98\x80\""},
             {"\"\"", "\"abc\"", "\"\\ud83d\"", "\"\\x\"", "\"a\n\"", "\"\xC0\x80\"",
              "\"\xED\xA0\x80\""}},
        Case{R"({"type":"integer"})",
             {"0", "-1", "12", "999999999999999"},
             {"01", "-0", "1.5", "-"}},
        Case{R"({"type":"number"})", {"0", "-0.5", "1e9", "3.25E-2"}, {".5", "1.", "+1", "1e999"}},
        Case{R"({"type":"number","minimum":0,"maximum":1})",
             {"0", "0.25", "1"},
             {"1.5", "2", "-0.5", "-1"}},
        Case{R"({"type":"number","minimum":-2})", {"-2", "-1.5", "-0.1", "7.5"}, {"-2.1", "-3"}},
        Case{R"({"type":"string","pattern":"^[a-c]{2}\\d+$"})",
             {"\"ab1\"", "\"cc123\""},
             {"\"ab\"", "\"ad1\"", "\"abc1\""}},
        Case{R"({"type":"string","pattern":"^(a|bc)?x*$"})",
             {"\"\"", "\"a\"", "\"bcxx\""},
             {"\"b\"", "\"ax1\""}},
        Case{R"({"type":"string","pattern":"b"})", {"\"b\"", "\"abc\""}, {"\"ac\"", "\"\""}},
        Case{R"({"type":"string","pattern":"^[^a]\"\\\\$"})",
             {R"("b\"\\")", R"("\"\"\\")"},
             {"\"a\""}},
        Case{R"({"type":"string","pattern":"^\\S\\.\\-$"})", {"\"a.-\""}, {"\" .-\"", "\"ab-\""}},
        Case{R"({"type":"string","format":"date"})",
             {"\"2024-02-29\"", "\"2000-02-29\"", "\"2023-12-31\""},
             {"\"2023-02-29\"", "\"1900-02-29\"", "\"2023-04-31\"", "\"2023-13-01\""}},
        Case{R"({"type":"string","format":"date-time"})",
             {"\"2024-02-29T23:59:59Z\"", "\"2024-01-01T00:00:00.5+01:30\""},
             {"\"2024-01-01\"", "\"2024-01-01T24:00:00Z\""}},
        Case{R"({"type":"string","format":"uuid"})",
             {"\"01234567-89ab-cdef-0123-456789abcdef\""},
             {"\"0123\""}},
        Case{R"({"type":"string","format":"ipv4"})",
             {"\"127.0.0.1\"", "\"255.1.20.0\""},
             {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
        Case{R"({"type":"string","format":"email"})", {"\"a.b@c.de\""}, {"\"a@b\"", "\"@c.de\""}},
        Case{
            R"({"$ref":"#/$defs/list","$defs":{"list":{"type":"object","properties":{)"
            R"("next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/list"}]}},"required":["next"]}}})",
            {"{\"next\":null}", "{\"next\":{\"next\":{\"next\":null}}}"},
            {"{}", "{\"next\":1}"}}));

// Every number near the bounds, against the bounds themselves.
TEST(SchemaGrammar, TakesTheIntegersWithinBounds) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto width = static_cast<std::int64_t>(1) << (random.Next() % 14);
    const std::int64_t low = static_cast<std::int64_t>(random.Next() % 4000) - 2000;
    const std::int64_t high = low + static_cast<std::int64_t>(random.Next() % width);
    const std::string rules =
        RulesOf(fmt::format(R"({{"type":"integer","minimum":{},"maximum":{}}})", low, high));
    for (int i = 0; i < 60; ++i) {
      const std::int64_t near = (random.Next() % 2 == 0 ? low : high);
      const std::int64_t number = near + static_cast<std::int64_t>(random.Next() % 21) - 10;
      const std::string text = std::to_string(number);
      EXPECT_EQ(Taken(rules, text) == text.size() + 1, low <= number && number <= high)
          << number << " in [" << low << ", " << high << "]";
    }
  }
}

TEST(Grammar, RefusesRulesThatBeginWithThemselves) {
  const auto grammar =
      Grammar::Compile(Bytes().tokenizer(),
                       {.rules = RulesOf(R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[)"
                                         R"({"$ref":"#/$defs/a"},{"type":"null"}]}}})")},
                       {});
  ASSERT_FALSE(grammar);
  EXPECT_EQ(grammar.error().code, Code::kInvalidArgument);
}

TEST(Grammar, TakesNoSpecialTokenThatWasNotNamed) {
  const Tokenizer& tokenizer = Bytes().tokenizer();
  const auto call = tokenizer.SpecialToken("<tool_call>");
  ASSERT_TRUE(call);
  const GrammarSpec spec{.rules = "root ::= \"<tool_call>\" [a-z]+"};
  EXPECT_FALSE(Grammar::Compile(tokenizer, spec, {}).value()->Allows(*call));
  const TokenId named[] = {*call};
  EXPECT_TRUE(Grammar::Compile(tokenizer, spec, named).value()->Allows(*call));
  const auto anything = Compiled({.rules = "root ::= [^x]*"});
  EXPECT_FALSE(anything->Allows(*call));
  EXPECT_FALSE(anything->Allows(tokenizer.SpecialToken("<|im_start|>").value()));
  EXPECT_TRUE(anything->Allows(ByteToken('a')));
}

TEST(Grammar, WaitsForItsTrigger) {
  for (const std::string_view before : {"", "a", "some text that is long <<", "<a<b"}) {
    const auto grammar = Compiled({.rules = "root ::= \"<b>\" [0-9]", .triggers = {"<b>"}});
    for (const char c : before) {
      EXPECT_TRUE(grammar->Allows(ByteToken(c)));
      EXPECT_TRUE(grammar->Accept(ByteToken(c)));
    }
    for (const char c : std::string_view("<b>")) {
      EXPECT_TRUE(grammar->waits());
      EXPECT_TRUE(grammar->Allows(ByteToken(c)));
      EXPECT_TRUE(grammar->Accept(ByteToken(c)));
    }
    EXPECT_FALSE(grammar->waits());
    EXPECT_FALSE(grammar->Allows(ByteToken('a')));
    EXPECT_TRUE(grammar->Allows(ByteToken('7')));
  }
}

TEST(Grammar, MasksWhatItDoesNotAllow) {
  const auto grammar = Compiled({.rules = RulesOf(R"({"enum":["a","b"]})")});
  const auto size = static_cast<std::size_t>(Bytes().tokenizer().size());
  for (const char c : std::string_view("\"a\"")) {
    std::vector<float> logits(size, 1.0F);
    grammar->Mask(logits);
    for (std::size_t i = 0; i < size; ++i) {
      EXPECT_EQ(std::isinf(logits[i]), !grammar->Allows(static_cast<TokenId>(i))) << i;
    }
    EXPECT_TRUE(grammar->Accept(ByteToken(c)));
  }
}

}  // namespace
}  // namespace penstock::engine
