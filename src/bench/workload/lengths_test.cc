#include "bench/workload/lengths.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/test_folder.h"

namespace penstock::bench {
namespace {

double MeanOf(const Lengths& lengths) {
  Random random(3);
  double sum = 0;
  for (int i = 0; i < 50'000; ++i) sum += lengths.Draw(random);
  return sum / 50'000;
}

TEST(Lengths, DrawsWhatItsNameSays) {
  const auto parse = [](std::string_view text) { return *Lengths::Parse(text, "input-tokens"); };
  EXPECT_EQ(parse("256").fixed(), 256);
  EXPECT_EQ(MeanOf(parse("256")), 256);
  EXPECT_EQ(parse("uniform:100-300").fixed(), 0);
  EXPECT_NEAR(MeanOf(parse("uniform:100-300")), 200, 1);
  EXPECT_NEAR(MeanOf(parse("normal:512,128")), 512, 3);
  EXPECT_NEAR(MeanOf(parse("lognormal:512,0.5")), 512 * std::exp(0.125), 8);
  for (const std::string_view text :
       {"256", "uniform:100-300", "normal:512,64", "lognormal:90,1"}) {
    EXPECT_NEAR(MeanOf(parse(text)), parse(text).mean(), parse(text).mean() * 0.03) << text;
    EXPECT_EQ(parse(text).text(), text);
  }
  EXPECT_EQ(parse("lognormal:512,0.5").median(), 512);
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const int drawn = parse("normal:10,1000").Draw(random);
    ASSERT_GE(drawn, 1);
    ASSERT_LE(drawn, Lengths::kMost);
  }
}

TEST(Lengths, ReadsATable) {
  const auto table = Lengths::FromTable("length,weight\n100,3\n200,1\n");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_NEAR(MeanOf(*table), 125, 1);
  EXPECT_NEAR(table->mean(), 125, 1e-9);
  EXPECT_EQ(table->median(), 100);
  const TestFolder folder;
  const std::string path = folder.Write("lengths", "5\n5\n5\n9\n");
  EXPECT_NEAR(Lengths::Parse("file:" + path, "output-tokens")->mean(), 6, 1e-9);
  folder.Write("lengths", "5\n-3\n");
  EXPECT_EQ(Lengths::Parse("file:" + path, "output-tokens").error().message,
            "output-tokens " + path +
                ": row 2, column length: '-3' is not a number of tokens from 1 to 1000000");
}

TEST(Lengths, NamesWhatIsWrong) {
  for (const std::string_view bad :
       {"", "0", "-1", "1.5", "x", "uniform:5", "uniform:9-3", "normal:0,1", "lognormal:5,9",
        "uniform:1-2000000", "gauss:1,2", "file:/no/such/file"}) {
    const auto refused = Lengths::Parse(bad, "input-tokens");
    ASSERT_FALSE(refused) << bad;
    EXPECT_FALSE(refused.error().message.empty());
  }
  EXPECT_EQ(Lengths::Parse("0", "input-tokens").error().field, "input-tokens");
}

}  // namespace
}  // namespace penstock::bench
