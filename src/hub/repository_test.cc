#include "hub/repository.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace penstock::hub {
namespace {

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

std::string Answer(const std::string& siblings) {
  return fmt::format(R"({{"sha":"{}","cardData":{{"license":"mit"}},"siblings":[{}]}})", kCommit,
                     siblings);
}
std::string File(const std::string& path) {
  return fmt::format(R"({{"rfilename":"{}","size":3,"blobId":"{}"}})", path, kCommit);
}
std::string Large(const std::string& path, const std::string& sha256 = std::string(64, 'a')) {
  return fmt::format(R"({{"rfilename":"{}","size":3,"lfs":{{"sha256":"{}","size":9}}}})", path,
                     sha256);
}

TEST(Repository, ReadsFiles) {
  const auto repository = ParseRepository(Answer(File("config.json") + "," + Large("m.gguf")));
  ASSERT_TRUE(repository) << repository.error().message;
  EXPECT_EQ(repository->commit, kCommit);
  EXPECT_EQ(repository->licence, "mit");
  ASSERT_EQ(repository->files.size(), 2U);
  EXPECT_EQ(repository->files[0].blob_id, kCommit);
  EXPECT_EQ(repository->files[1].size, 9);
  EXPECT_EQ(repository->files[1].sha256, std::string(64, 'a'));
}

TEST(Repository, DoesNotBelieveEverything) {
  for (const std::string& answer :
       {std::string(""), std::string("[]"), std::string(R"({"sha":"x","siblings":[]})"),
        fmt::format(R"({{"sha":"{}"}})", kCommit), Answer("3"), Answer(File("../x")),
        Answer(File("/etc/x")), Answer(File("a/../../x")), Answer(File("a//b")), Answer(File("")),
        Answer(Large("m", "zz")), Answer(R"({"rfilename":"a"})"),
        Answer(R"({"rfilename":"a","size":-1})"), Answer(R"({"rfilename":"a","size":1e30})")}) {
    const auto repository = ParseRepository(answer);
    ASSERT_FALSE(repository) << answer;
    EXPECT_EQ(repository.error().code, Code::kUpstream);
  }
}

std::vector<std::string> Chosen(const std::string& siblings, const std::string& file = "") {
  const auto files = ChooseFiles(*ParseRepository(Answer(siblings)), file);
  std::vector<std::string> paths;
  if (!files) return {files.error().message};
  for (const RemoteFile& one : *files) paths.push_back(one.path);
  return paths;
}

TEST(ChooseFiles, TakesWhatAModelNeeds) {
  EXPECT_EQ(Chosen(File("config.json") + "," + File("x.py") + "," + Large("model.safetensors") +
                   "," + Large("onnx/model.safetensors") + "," + Large("pytorch_model.bin") + "," +
                   File("tokenizer.json")),
            (std::vector<std::string>{"config.json", "tokenizer.json", "model.safetensors"}));
  EXPECT_EQ(Chosen(Large("a.gguf") + "," + File("README.md")), std::vector<std::string>{"a.gguf"});
  EXPECT_EQ(Chosen(Large("a.gguf") + "," + Large("b.gguf"), "b.gguf"),
            std::vector<std::string>{"b.gguf"});
}

TEST(ChooseFiles, SaysWhatThereIs) {
  EXPECT_NE(Chosen(Large("a.gguf") + "," + Large("b.gguf"))[0].find("a.gguf, b.gguf"),
            std::string::npos);
  EXPECT_NE(Chosen(Large("a.gguf"), "c.gguf")[0].find("no file c.gguf"), std::string::npos);
  EXPECT_NE(Chosen(Large("pytorch_model.bin"))[0].find("neither safetensors nor GGUF"),
            std::string::npos);
}

}  // namespace
}  // namespace penstock::hub
