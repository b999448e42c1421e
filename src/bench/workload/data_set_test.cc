#include "bench/workload/data_set.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"

namespace penstock::bench {
namespace {

using Role = Message::Role;

TEST(DataSet, ReadsPromptsAndMessages) {
  const auto set = DataSet::Parse(
      "{\"prompt\":\"Hello\",\"max_tokens\":9}\n\n"
      "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
      "{\"role\":\"user\",\"content\":\"Hi\"}]}\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
      "\"b\"},"
      "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->items.size(), 3u);
  EXPECT_EQ(set->items[0].opening, (Messages{{Role::kUser, "Hello"}}));
  EXPECT_EQ(set->items[0].output_tokens, 9);
  EXPECT_EQ(set->items[1].opening, (Messages{{Role::kSystem, "Be brief."}, {Role::kUser, "Hi"}}));
  // It ends with the assistant: the user's turns are asked anew.
  EXPECT_EQ(set->items[2].opening, (Messages{{Role::kUser, "a"}}));
  EXPECT_EQ(set->items[2].later, (std::vector<std::string>{"c"}));
}

TEST(DataSet, ReadsShareGpt) {
  const auto set = DataSet::Parse(
      R"([{"id":"x","conversations":[{"from":"human","value":"one"},{"from":"gpt","value":"two"},)"
      R"({"from":"human","value":"three"}]},{"conversations":[{"from":"gpt","value":"alone"}]}])");
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->items.size(), 1u);
  EXPECT_EQ(set->items[0].opening, (Messages{{Role::kUser, "one"}}));
  EXPECT_EQ(set->items[0].later, (std::vector<std::string>{"three"}));
}

TEST(DataSet, NamesRowAndColumnOfWhatItCannotRead) {
  const auto message = [](std::string_view text) {
    const auto set = DataSet::Parse(text);
    return set ? std::string("it was read") : set.error().message;
  };
  EXPECT_EQ(message("{\"prompt\":\"a\"}\n{\"text\":\"b\"}"),
            "row 2, column prompt: the line has neither \"prompt\" (text) nor \"messages\"");
  EXPECT_EQ(message("{\"prompt\":\"\"}"), "row 1, column prompt: it is empty");
  EXPECT_EQ(message("{\"messages\":[{\"role\":\"robot\",\"content\":\"b\"}]}"),
            "row 1, column messages.role: a message has no role that is known");
  EXPECT_EQ(message("{\"messages\":[{\"role\":\"user\",\"content\":[1]}]}"),
            "row 1, column messages.content: a message's content is not text");
  EXPECT_EQ(message("{\"messages\":[{\"role\":\"system\",\"content\":\"b\"}]}"),
            "row 1, column messages: no turn of a user is in it");
  EXPECT_EQ(message("{\"prompt\":\"a\",\"max_tokens\":0}"),
            "row 1, column max_tokens: it must be from 1 to 1000000");
  EXPECT_EQ(message("[{\"id\":1}]"), "row 1, column conversations: the entry has no such list");
  EXPECT_TRUE(
      message("{\"prompt\":\"a\"}\n{\"prompt\":").starts_with("row 2, column all: not JSON"));
  EXPECT_EQ(message(""), "there is no prompt in it");
  EXPECT_EQ(message("[]"), "there is no prompt in it");
}

TEST(DataSet, NamesThePath) {
  const TestFolder folder;
  EXPECT_EQ(DataSet::FromFile(folder.File("none")).error().code, Code::kNotFound);
  const std::string path = folder.Write("set.jsonl", "{}");
  EXPECT_TRUE(DataSet::FromFile(path).error().message.starts_with("data set " + path + ": row 1"));
}

}  // namespace
}  // namespace penstock::bench
