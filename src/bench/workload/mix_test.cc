#include "bench/workload/mix.h"

#include <gtest/gtest.h>

namespace penstock::bench {
namespace {

TEST(Mix, ReadsPresetsAndWeights) {
  EXPECT_TRUE(Mix::Parse("")->IsUniform());
  EXPECT_EQ(Mix::Parse("")->parts[0].input.fixed(), 2048);
  EXPECT_EQ(Mix::Parse("reference")->parts[0].output.fixed(), 256);
  const auto mix = Mix::Parse("chat=3,rag=1.5");
  ASSERT_TRUE(mix) << mix.error().message;
  ASSERT_EQ(mix->parts.size(), 2u);
  EXPECT_EQ(mix->parts[0].name, "chat");
  EXPECT_EQ(mix->parts[0].weight, 3);
  EXPECT_EQ(mix->parts[1].weight, 1.5);
  EXPECT_FALSE(mix->IsUniform());
  for (const std::string_view name :
       {"chat", "rag", "summarise", "write", "code", "embed", "reference"}) {
    EXPECT_TRUE(Mix::Parse(name)) << name;
    EXPECT_NE(Mix::Presets().find(name), std::string::npos);
  }
}

TEST(Mix, NamesWhatIsWrong) {
  for (const std::string_view bad : {"x", "chat=0", "chat=", "chat=-1", "chat,,rag", ","}) {
    const auto mix = Mix::Parse(bad);
    ASSERT_FALSE(mix) << bad;
    EXPECT_EQ(mix.error().field, "workload");
  }
}

TEST(Mix, TakesAPrefix) {
  Mix mix = *Mix::Parse("write");
  ASSERT_TRUE(SetPrefix("0.5:1024:8", mix));
  EXPECT_EQ(mix.parts[0].prefix_share, 0.5);
  EXPECT_EQ(mix.parts[0].prefix_tokens, 1024);
  EXPECT_EQ(mix.parts[0].prefixes, 8);
  ASSERT_TRUE(SetPrefix("1:10", mix));
  EXPECT_EQ(mix.parts[0].prefixes, 1);
  for (const std::string_view bad : {"", "0.5", "2:10", "0.5:0", "0.5:1.5", "0.5:10:x", "a:b"}) {
    EXPECT_FALSE(SetPrefix(bad, mix)) << bad;
  }
}

}  // namespace
}  // namespace penstock::bench
