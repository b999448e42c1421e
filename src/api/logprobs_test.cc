#include "api/logprobs.h"

#include <gtest/gtest.h>

#include <limits>

namespace penstock {
namespace {

const std::vector<TokenLogprob> kTokens = {
    {"Hi", -0.25, {{"Hi", -0.25}, {"\xC3", -2.5}}},
    {"\"!", -std::numeric_limits<double>::infinity(), {}},
};

TEST(Logprobs, ChatForm) {
  std::string out;
  AppendChatLogprobs(out, kTokens);
  EXPECT_EQ(
      out, R"({"content":[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[)"
           R"({"token":"Hi","logprob":-0.25,"bytes":[72,105]},)"
           "{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-2.5,\"bytes\":[195]}]},"
           R"({"token":"\"!","logprob":-9999,"bytes":[34,33],"top_logprobs":[]}],"refusal":null})");
}

TEST(Logprobs, CompletionForm) {
  std::string out;
  AppendCompletionLogprobs(out, kTokens, 7);
  EXPECT_EQ(out, R"({"tokens":["Hi","\"!"],"token_logprobs":[-0.25,-9999],"top_logprobs":[)"
                 "{\"Hi\":-0.25,\"\xEF\xBF\xBD\":-2.5},{}],\"text_offset\":[7,9]}");
}

}  // namespace
}  // namespace penstock
