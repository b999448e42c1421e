// Tools, choices of them, calls, and formats of answers, as bodies ask for them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/requests.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<ChatRequest> Chat(std::string_view fields, std::string_view messages = "") {
  if (messages.empty()) messages = R"([{"role":"user","content":"x"}])";
  std::string body = fmt::format(R"({{"messages":{},{}}})", messages, fields);
  return ParseChatRequest(PaddedView(body));
}

constexpr std::string_view kTwo =
    R"("tools":[{"type":"function","function":{"name":"a","description":"d","parameters":)"
    R"({"type":"object","properties":{"x":{"type":"integer"}}}}},)"
    R"({"type":"function","function":{"name":"b"}}])";

TEST(Tools, AreReadWithTheirSchemas) {
  const auto request = Chat(kTwo);
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->tools.size(), 2U);
  EXPECT_EQ(request->tools[0].name, "a");
  EXPECT_EQ(request->tools[0].description, "d");
  EXPECT_EQ(request->tools[0].parameters,
            R"({"type":"object","properties":{"x":{"type":"integer"}}})");
  EXPECT_THAT(request->tools[1].parameters, HasSubstr("object"));
  EXPECT_EQ(request->tool_choice, ToolChoice::kAuto);
  EXPECT_TRUE(request->parallel_tool_calls);
}

TEST(Tools, AChoiceSaysWhichAndWhether) {
  EXPECT_EQ(Chat(R"("n":1)")->tool_choice, ToolChoice::kNone);
  EXPECT_TRUE(Chat(fmt::format(R"({},"tool_choice":"none")", kTwo))->tools.empty());
  EXPECT_EQ(Chat(fmt::format(R"({},"tool_choice":"auto")", kTwo))->tool_choice, ToolChoice::kAuto);
  const auto required =
      Chat(fmt::format(R"({},"tool_choice":"required","parallel_tool_calls":false)", kTwo));
  EXPECT_EQ(required->tool_choice, ToolChoice::kRequired);
  EXPECT_FALSE(required->parallel_tool_calls);
  EXPECT_EQ(required->tools.size(), 2U);
  const auto named = Chat(
      fmt::format(R"({},"tool_choice":{{"type":"function","function":{{"name":"b"}}}})", kTwo));
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->tool_choice, ToolChoice::kRequired);
  EXPECT_THAT(named->tools, ElementsAre(testing::Field(&Tool::name, "b")));
  EXPECT_FALSE(named->parallel_tool_calls);
}

TEST(Tools, CallsAndTheirAnswersAreMessages) {
  const auto request =
      Chat(R"("n":1)", R"([{"role":"user","content":"x"},{"role":"assistant","content":null,)"
                       R"("tool_calls":[{"id":"c1","type":"function","function":{"name":"a",)"
                       R"("arguments":"{\"x\":1}"}}]},{"role":"tool","tool_call_id":"c1",)"
                       R"("content":"2"}])");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_THAT(request->messages[1].tool_calls, ElementsAre(ToolCall{"c1", "a", R"({"x":1})"}));
  EXPECT_EQ(request->messages[2].tool_call_id, "c1");
}

struct Bad {
  std::string fields;
  const char* field;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.fields; }
class ToolsRefuse : public testing::TestWithParam<Bad> {};

TEST_P(ToolsRefuse, NamesFieldValueAndLimit) {
  const auto request = Chat(GetParam().fields);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Code::kInvalidArgument);
  EXPECT_EQ(request.error().field, GetParam().field);
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().message));
}

std::string Many() {
  std::string tools;
  for (std::size_t i = 0; i <= kToolsMax; ++i) {
    tools +=
        fmt::format(R"({}{{"type":"function","function":{{"name":"t{}"}}}})", i == 0 ? "" : ",", i);
  }
  return fmt::format(R"("tools":[{}])", tools);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ToolsRefuse,
    testing::Values(
        Bad{R"("tools":{})", "tools", "a list of tools"},
        Bad{R"("tools":[{}])", "tools[0].function", "an object, not absent"},
        Bad{R"("tools":[{"type":"web_search"}])", "tools[0].type", "\"function\""},
        Bad{R"("tools":[{"function":{}}])", "tools[0].function.name", "1 to 64"},
        Bad{R"("tools":[{"function":{"name":"a b"}}])", "tools[0].function.name", "\"a b\""},
        Bad{R"("tools":[{"function":{"name":"a"}},{"function":{"name":"a"}}])",
            "tools[1].function.name", "given twice"},
        Bad{R"("tools":[{"function":{"name":"a","parameters":5}}])", "tools[0].function.parameters",
            "an object, not 5"},
        Bad{R"("tools":[{"function":{"name":"a","strict":true,"parameters":{"not":{}}}}])",
            "tools[0].function.parameters.not", "not supported"},
        Bad{Many(), "tools", "at most 128 tools, not 129"},
        Bad{R"("tool_choice":"required")", "tool_choice", "`tools` has none"},
        Bad{fmt::format(R"({},"tool_choice":"any")", kTwo), "tool_choice", "\"any\""},
        Bad{fmt::format(R"({},"tool_choice":{{"function":{{"name":"c"}}}})", kTwo),
            "tool_choice.function.name", "none of `tools`"},
        Bad{fmt::format(R"({},"response_format":{{"type":"json_object"}})", kTwo),
            "response_format", "together"},
        Bad{fmt::format(R"({},"logprobs":true)", kTwo), "logprobs", "together"},
        Bad{R"("functions":[{}])", "functions", "`tools` is"},
        Bad{R"("suffix":"x")", "suffix", "text completions only"},
        Bad{R"("response_format":{"type":"yaml"})", "response_format.type", "\"yaml\""},
        Bad{R"("response_format":"json")", "response_format", "an object"},
        Bad{R"("response_format":{"type":"json_schema"})", "response_format.json_schema",
            "an object"},
        Bad{R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
            "response_format.json_schema.schema", "missing"},
        Bad{R"("response_format":{"type":"json_schema","json_schema":{"schema":{"not":{}}}})",
            "response_format.json_schema.schema.not", "not supported"}));

TEST(Tools, AreNoneOfATextCompletions) {
  std::string body = R"({"prompt":"x","tools":[{}],"suffix":"y"})";
  const auto refused = ParseCompletionRequest(PaddedView(body));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "tools");
  body = R"({"prompt":"x","tools":[],"suffix":"y"})";
  EXPECT_EQ(ParseCompletionRequest(PaddedView(body))->suffix, "y");
}

TEST(ResponseFormat, BecomesAGrammar) {
  EXPECT_EQ(Chat(R"("response_format":{"type":"text"})")->options.grammar, "");
  EXPECT_THAT(Chat(R"("response_format":{"type":"json_object"})")->options.grammar,
              HasSubstr("root ::= object"));
  EXPECT_THAT(Chat(R"("response_format":{"type":"json_schema","json_schema":{"name":"n",)"
                   R"("strict":true,"schema":{"enum":["yes","no"]}}})")
                  ->options.grammar,
              HasSubstr("\\\"yes\\\""));
}

}  // namespace
}  // namespace penstock
