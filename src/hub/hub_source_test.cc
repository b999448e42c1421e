#include "hub/hub_source.h"

#include <gtest/gtest.h>

namespace penstock::hub {
namespace {

TEST(HubSource, ReadsItsParts) {
  const auto plain = ParseHubSource("hf:Qwen/Qwen2.5-0.5B", "source");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repository, "Qwen/Qwen2.5-0.5B");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(plain->file, "");
  const auto full = ParseHubSource("hf:a/b@refs/pr/1:sub/m-q8_0.gguf", "source");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->revision, "refs/pr/1");
  EXPECT_EQ(full->file, "sub/m-q8_0.gguf");
}

TEST(HubSource, RefusesWhatLeadsElsewhere) {
  for (const char* text : {"hf:", "hf:a", "hf:a/", "hf:/b", "hf:../b", "hf:a/..", "hf:a/b/c",
                           "hf:a/b:../x", "hf:a/b:/etc/passwd", "hf:a/b@", "hf:a/b:", "hf:a b/c",
                           "hf:a/b@x y", "hf:a/b:x//y", "hf:a/b:.git/config", "hf:a/b:x/.ssh"}) {
    const auto source = ParseHubSource(text, "source");
    ASSERT_FALSE(source) << text;
    EXPECT_EQ(source.error().code, Code::kInvalidArgument);
    EXPECT_EQ(source.error().field, "source");
  }
}

}  // namespace
}  // namespace penstock::hub
