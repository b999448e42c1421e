#include "trace/columns.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "trace/csv.h"
#include "trace/moment.h"

namespace penstock::trace {
namespace {

TEST(Columns, ReadsTheFlag) {
  const auto names = ColumnNames::Parse("time=t,input=in,output=out,blocks=ids,unit=ms");
  ASSERT_TRUE(names);
  EXPECT_EQ(*names, (ColumnNames{.time = "t",
                                 .input = "in",
                                 .output = "out",
                                 .blocks = "ids",
                                 .time_unit_ns = 1'000'000}));
  EXPECT_EQ(*ColumnNames::Parse(""), ColumnNames{});
  for (const std::string_view bad : {"time", "time=", "what=x", "unit=h", "=x", ",", "time=a,,"}) {
    const auto refused = ColumnNames::Parse(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().field, "trace-columns") << bad;
  }
}

TEST(Columns, NamesWhatIsMissing) {
  const std::vector<std::string> header = {"TIMESTAMP", "ContextTokens"};
  const auto places = FindColumns(header, {});
  ASSERT_FALSE(places);
  EXPECT_EQ(places.error().message,
            "row 1, column output: there is none for output; the columns are: TIMESTAMP, "
            "ContextTokens");
}

TEST(Moment, ReadsCalendarsAndNumbers) {
  const auto moment = [](std::string_view text) { return ParseMoment(text, 1'000'000'000); };
  EXPECT_EQ(moment("1970-01-01 00:00:01.5"), 1'500'000'000);
  EXPECT_EQ(moment("1970-01-01T00:00:00.0000001Z"), 100);
  EXPECT_EQ(moment("1970-01-01 02:00:00+02:00"), 0);
  EXPECT_EQ(moment("2023-11-16 18:17:03.9799600"), 1'700'158'623'979'960'000);
  EXPECT_EQ(moment("12"), 12'000'000'000);
  EXPECT_EQ(moment("0.25"), 250'000'000);
  EXPECT_EQ(ParseMoment("27482", 1'000'000), 27'482'000'000);
  for (const std::string_view bad :
       {"", "x", "1e300", "99999999999999", "2023-13-01 00:00:00", "2023-11-16", "1.5s", "nan",
        "2023-11-16 18:17:03.", "2023-11-16 25:00:00", "2023-11-16 18:17:03+99:00"}) {
    EXPECT_FALSE(moment(bad)) << bad;
  }
}

TEST(Csv, ReadsQuotesLineEndsAndRows) {
  CsvRows rows(
      "\xEF\xBB\xBF"
      "a,\"b,\"\"c\"\"\nd\",\r\n\n1,2");
  std::vector<std::string> cells;
  ASSERT_TRUE(rows.Next(cells));
  EXPECT_EQ(cells, (std::vector<std::string>{"a", "b,\"c\"\nd", ""}));
  EXPECT_EQ(rows.row(), 1u);
  ASSERT_TRUE(rows.Next(cells));
  EXPECT_EQ(cells, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(rows.row(), 4u);  // The quoted line end and the empty line count.
  EXPECT_FALSE(rows.Next(cells));
}

}  // namespace
}  // namespace penstock::trace
