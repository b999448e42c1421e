#include "convert/safetensors.h"

#include <gtest/gtest.h>

#include "convert/test_model.h"

namespace penstock::convert {
namespace {

Result<TensorTable> Parse(const std::string& file) {
  return ParseSafetensors({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
}

std::string WithHead(const std::string& head, const std::string& data) {
  const std::uint64_t size = head.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + head + data;
}

void ExpectCorrupt(const std::string& head, const std::string& data, const std::string& words) {
  const auto parsed = Parse(WithHead(head, data));
  ASSERT_FALSE(parsed) << head;
  EXPECT_EQ(parsed.error().code, Code::kCorrupt);
  EXPECT_NE(parsed.error().message.find(words), std::string::npos) << parsed.error().message;
}

TEST(Safetensors, FindsTensors) {
  const std::string file = WithHead(R"({"__metadata__":{"format":"pt"},)"
                                    R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                                    R"("b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}})",
                                    "0123456789");
  const auto table = Parse(file);
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_EQ(table->size(), 2U);
  EXPECT_EQ(table->at("a").shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(table->at("a").elements(), 2);
  EXPECT_EQ(table->at("b").bytes[0], '8');
}

TEST(Safetensors, RefusesWhatCannotBe) {
  EXPECT_FALSE(Parse(""));
  EXPECT_FALSE(Parse("1234567"));
  EXPECT_FALSE(Parse(std::string(16, '\xFF')));  // A head of 2^64 bytes.
  ExpectCorrupt("[]", "", "not a JSON object");
  ExpectCorrupt("{", "", "not a JSON object");
  ExpectCorrupt("{}", "", "no tensors");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[1]}})", "", "lacks");
  ExpectCorrupt(R"({"a":7})", "", "lacks");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "0123", "needs 8");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "0123", "cut off");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "0123", "outside");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "0123", "shape");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "0123", "shape");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,4]}})",
                "0123", "shape");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", "0123",
                "dimensions");
  ExpectCorrupt(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                "012345", "over each other");
  const auto odd = Parse(WithHead(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", "0"));
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, Code::kUnsupported);
}

// Any cut of a sound file is refused, or finds only what is whole.
TEST(Safetensors, EveryCutIsNoticed) {
  Random random(1);
  const std::string file =
      SafetensorsFile({{"a", RandomTensor({2, 3}, random)}, {"b", RandomTensor({4}, random)}});
  ASSERT_TRUE(Parse(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(Parse(file.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace penstock::convert
