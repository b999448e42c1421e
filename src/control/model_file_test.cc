#include "control/model_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/test_folder.h"
#include "control/gguf_head.h"
#include "control/gguf_sample.h"
#include "control/gguf_tensors.h"

namespace penstock::control {
namespace {

TEST(GgufHead, TellsWhatTheFileSays) {
  const std::string bytes = GgufSample{}.Head();
  const auto head = ParseGgufHead(bytes, true);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->version, 3u);
  EXPECT_EQ(head->tensors, 1u);
  EXPECT_EQ(head->architecture, "llama");
  EXPECT_EQ(head->context_length, 4096u);
}

// Cut anywhere: refused when that is all there is; otherwise what was there is still told.
TEST(GgufHead, SurvivesEveryCut) {
  const std::string bytes = GgufSample{}.Head();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = ParseGgufHead(std::string_view(bytes).substr(0, size), true);
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().code, Code::kCorrupt);
    const auto partial = ParseGgufHead(std::string_view(bytes).substr(0, size), false);
    EXPECT_EQ(partial.has_value(), size >= 24) << size;
  }
}

TEST(GgufHead, RefusesWhatItIsNot) {
  EXPECT_EQ(ParseGgufHead("PK\x03\x04 a zip file, and longer", true).error().code, Code::kCorrupt);
  EXPECT_EQ(ParseGgufHead(GgufSample{.version = 1}.Head(), true).error().code, Code::kUnsupported);
  EXPECT_EQ(ParseGgufHead(GgufSample{.tensors = 0}.Head(), true).error().code, Code::kCorrupt);
  EXPECT_EQ(ParseGgufHead(GgufSample{.value_type = 77}.Head(), true).error().code, Code::kCorrupt);
}

// Text that would break JSON or a terminal is left out.
TEST(GgufHead, LeavesOutStrangeText) {
  EXPECT_EQ(ParseGgufHead(GgufSample{.architecture = "\xff\x1b[2J"}.Head(), true)->architecture,
            "");
}

// Found at the same place with any tail, or not at all where the list is cut.
TEST(GgufTensors, AreMeasuredFromTheirList) {
  const std::string bytes = GgufSample{.tensors = 3}.Bytes();
  const auto end = FindGgufTensorsEnd(bytes);
  ASSERT_TRUE(end && *end);
  EXPECT_EQ((*end)->at, bytes.size());
  EXPECT_EQ((*end)->tensor, "tensor.2");
  EXPECT_EQ((*end)->unknown, 0u);
  const std::size_t listed = bytes.size() - 3 * 64 * sizeof(float);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = FindGgufTensorsEnd(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(cut) << size;
    if (size + 32 <= listed) EXPECT_FALSE(*cut) << size;
    if (size >= listed) EXPECT_EQ((*cut)->at, bytes.size()) << size;
  }
}

TEST(GgufTensors, RefusesSizesThatCannotBe) {
  std::string bytes = GgufSample{}.Bytes();
  const std::size_t size_at = bytes.find("tensor.0") + 8 + 4;
  bytes.replace(size_at, 8, std::string(8, '\x7f'));
  EXPECT_EQ(FindGgufTensorsEnd(bytes).error().code, Code::kCorrupt);
}

// Cut by a byte, or by all of its tensors: refused, with the numbers.
TEST(InspectModelFile, RefusesAFileCutWithinItsTensors) {
  const TestFolder folder;
  const std::string bytes = GgufSample{.tensors = 2}.Bytes();
  for (const std::size_t missing : {1, 300, 512}) {
    const auto cut =
        InspectModelFile(folder.Write("cut.gguf", bytes.substr(0, bytes.size() - missing)));
    ASSERT_FALSE(cut) << missing;
    EXPECT_EQ(cut.error().code, Code::kCorrupt);
    EXPECT_NE(cut.error().message.find(std::to_string(bytes.size())), std::string::npos)
        << cut.error().message;
  }
}

TEST(InspectModelFile, TellsFilesApart) {
  const TestFolder folder;
  const std::string bytes = GgufSample{}.Bytes();
  const auto one = InspectModelFile(folder.Write("one.gguf", bytes));
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->size_bytes, std::ssize(bytes));
  EXPECT_EQ(one->architecture, "llama");
  EXPECT_EQ(one->format.at("context_length"), 4096);
  EXPECT_EQ(InspectModelFile(folder.Write("same.gguf", bytes))->fingerprint, one->fingerprint);
  EXPECT_NE(InspectModelFile(folder.Write("more.gguf", bytes + "x"))->fingerprint,
            one->fingerprint);
}

// A file of which only parts are read: changes at both ends, and in the middle of a sample, show.
TEST(InspectModelFile, SamplesLargeFiles) {
  const TestFolder folder;
  std::string bytes = GgufSample{}.Bytes();
  bytes.resize(20 * 1024 * 1024, '.');
  const auto before = InspectModelFile(folder.Write("large.gguf", bytes));
  ASSERT_TRUE(before) << before.error().message;
  for (const std::size_t place :
       {bytes.size() - 1, std::size_t{1024 * 1024 + 5}, std::size_t{900'000}}) {
    std::string changed = bytes;
    changed[place] = '!';
    EXPECT_NE(InspectModelFile(folder.Write("large.gguf", changed))->fingerprint,
              before->fingerprint)
        << place;
  }
}

TEST(InspectModelFile, FollowsLinksToTheRealFile) {
  const TestFolder folder;
  const std::string real = folder.Write("real.gguf", GgufSample{}.Bytes());
  std::filesystem::create_symlink(real, folder.File("link.gguf"));
  EXPECT_EQ(InspectModelFile(folder.File("link.gguf"))->path, std::filesystem::canonical(real));
}

TEST(InspectModelFile, RefusesWhatIsNoModel) {
  const TestFolder folder;
  const auto missing = InspectModelFile(folder.File("missing.gguf"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kInvalidArgument);
  EXPECT_NE(missing.error().message.find("missing.gguf"), std::string::npos);
  EXPECT_EQ(InspectModelFile(folder.path()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(InspectModelFile("/dev/null").error().code, Code::kInvalidArgument);
  EXPECT_EQ(InspectModelFile("").error().code, Code::kInvalidArgument);
  const std::string pipe = folder.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(InspectModelFile(pipe).error().code, Code::kInvalidArgument);
  for (const auto& [name, content] :
       {std::pair("empty", std::string()), std::pair("short", std::string("GGU")),
        std::pair("head", std::string("GGUF\3\0\0\0", 8)),
        std::pair("foreign", std::string(1000, 'x'))}) {
    const std::string path = folder.Write(name, content);
    const auto refused = InspectModelFile(path);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Code::kCorrupt) << name;
    EXPECT_NE(refused.error().message.find(path), std::string::npos) << refused.error().message;
  }
}

TEST(TaskOf, KnowsEncoders) {
  EXPECT_EQ(TaskOf("bert"), "llm/v1/embeddings");
  EXPECT_EQ(TaskOf("nomic-bert"), "llm/v1/embeddings");
  EXPECT_EQ(TaskOf("llama"), "llm/v1/chat");
  EXPECT_EQ(TaskOf(""), "llm/v1/chat");
}

}  // namespace
}  // namespace penstock::control
