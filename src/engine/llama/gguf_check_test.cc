#include "engine/llama/gguf_check.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/random.h"
#include "engine/llama/backend.h"
#include "engine/llama/model.h"
#include "engine/llama/synth.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

// A directory of its own for each test, removed afterwards.
class GgufCheck : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("gguf_check_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    toy_ = (folder_ / "toy.gguf").string();
    const auto spec = SynthPreset("toy");
    ASSERT_TRUE(spec.has_value());
    const auto report = SynthesizeModel(*spec, toy_);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    std::ifstream file(toy_, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_EQ(bytes_.size(), report->bytes);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, std::string_view bytes) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  static Result<GgufSummary> Parse(std::string_view bytes) {
    return ParseGguf({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                     bytes.size());
  }

  fs::path folder_;
  std::string toy_;
  std::string bytes_;
};

TEST_F(GgufCheck, SummarisesASoundModel) {
  const auto summary = CheckModelFile(toy_);
  ASSERT_TRUE(summary.has_value()) << summary.error().message;
  EXPECT_EQ(summary->architecture, "llama");
  EXPECT_EQ(summary->layers, 2u);
  EXPECT_EQ(summary->context_length, 8192u);
  EXPECT_EQ(summary->heads_kv, 2u);
  EXPECT_EQ(summary->key_length, 16u);
  EXPECT_EQ(summary->tokens, 259u);
  EXPECT_EQ(CacheBytes(*summary, 8, 100), 2u * 2 * (16 + 16) * 2 * 800);
}

TEST_F(GgufCheck, RefusesAFileCutAnywhere) {
  for (std::size_t size = 0; size < bytes_.size(); size += size < 20000 ? 97 : 997) {
    const auto summary = Parse(std::string_view(bytes_).substr(0, size));
    ASSERT_FALSE(summary.has_value()) << "cut at " << size;
    ASSERT_EQ(summary.error().code, Code::kCorrupt) << summary.error().message;
  }
  const auto last = Parse(std::string_view(bytes_).substr(0, bytes_.size() - 64));
  ASSERT_FALSE(last.has_value());
  EXPECT_NE(last.error().message.find("it is cut off"), std::string::npos) << last.error().message;
}

TEST_F(GgufCheck, LoadingRefusesWhatIsNoModelWithAMessageThatNamesTheFile) {
  const std::string vocabulary = VocabularyDirectory() + "/ggml-vocab-llama-spm.gguf";
  const struct {
    std::string path;
    Code code;
    std::string_view says;
  } cases[] = {
      {(folder_ / "absent.gguf").string(), Code::kNotFound, "No such file"},
      {folder_.string(), Code::kInvalidArgument, "not a regular file"},
      {Write("empty.gguf", ""), Code::kCorrupt, "the file is empty"},
      {Write("text.gguf", "once upon a time"), Code::kCorrupt, "not a GGUF file"},
      {Write("short.gguf", "GGUF"), Code::kCorrupt, "cut off"},
      {Write("half.gguf", bytes_.substr(0, bytes_.size() / 2)), Code::kCorrupt, "cut off"},
      {Write("old.gguf", "GGUF\x01" + bytes_.substr(5)), Code::kUnsupported, "GGUF version 1"},
      {vocabulary, Code::kUnsupported, "vocabulary only"},
  };
  for (const auto& c : cases) {
    const auto model = Model::Load(c.path);
    ASSERT_FALSE(model.has_value()) << c.path;
    EXPECT_EQ(model.error().code, c.code) << model.error().message;
    EXPECT_TRUE(model.error().message.starts_with(c.path)) << model.error().message;
    EXPECT_NE(model.error().message.find(c.says), std::string::npos) << model.error().message;
  }
}

TEST_F(GgufCheck, RefusesAnUnknownArchitectureByName) {
  // Same length, so that the file stays sound.
  std::string foreign = bytes_;
  for (std::size_t at = 0; (at = foreign.find("llama", at)) != std::string::npos;) {
    if (foreign.compare(at - 8, 8, std::string("\x05\0\0\0\0\0\0\0", 8)) == 0 ||
        foreign.compare(at + 5, 1, ".") == 0) {
      foreign.replace(at, 5, "xyzzy");
    }
    at += 5;
  }
  const auto model = Model::Load(Write("foreign.gguf", foreign));
  ASSERT_FALSE(model.has_value());
  EXPECT_NE(model.error().message.find("'xyzzy'"), std::string::npos) << model.error().message;
}

TEST_F(GgufCheck, AnswersWhateverBytesAreChanged) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    std::string damaged = bytes_;
    for (std::uint64_t i = 1 + random.Below(4); i > 0; --i) {
      damaged[random.Below(9000)] = static_cast<char>(random.Next());
    }
    const auto summary = Parse(damaged);
    if (!summary) {
      ASSERT_FALSE(summary.error().message.empty()) << "seed " << seed;
    }
  }
}

TEST_F(GgufCheck, MemoryIsRefusedWithItsNumbers) {
  const auto summary = CheckModelFile(toy_);
  ASSERT_TRUE(summary.has_value());
  const MemoryNeed need{.sequences = 256, .tokens_per_sequence = 8192, .prefix_bytes = 3 << 20};
  const MemoryEstimate estimate = EstimateMemory(*summary, need);
  EXPECT_TRUE(CheckMemory(*summary, need, estimate.total()).has_value());
  const Status little = CheckMemory(*summary, need, estimate.total() - 1);
  ASSERT_FALSE(little.has_value());
  EXPECT_EQ(little.error().code, Code::kExhausted);
  EXPECT_EQ(little.error().message,
            fmt::format("256 sequences of 8192 tokens need a cache of 512 MiB, the weights 0 MiB, "
                        "computing {} MiB and kept prefixes 3 MiB; {} MiB are available: lower "
                        "--parallel, --context-tokens or --prefix-cache-mib",
                        estimate.computing >> 20, (estimate.total() - 1) >> 20));
  EXPECT_GT(AvailableMemoryBytes().value_or(0), 1u << 20);
}

}  // namespace
}  // namespace penstock::engine
