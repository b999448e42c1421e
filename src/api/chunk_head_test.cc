#include "api/chunk_head.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(ChunkHead, IsReadInAnyOrder) {
  const ChunkHead head = ReadChunkHead(
      R"({"created":17,"choices":[{"delta":{"content":""}}],"model":"m\"x","id":"chatcmpl-1"})");
  EXPECT_EQ(head.id, "chatcmpl-1");
  EXPECT_EQ(head.model, "m\"x");
  EXPECT_EQ(head.created_s, 17);
}

TEST(ChunkHead, IsEmptyWhereThereIsNone) {
  for (const char* data :
       {"", "{}", "[DONE]", "{\"id\":7", "[1]", R"({"id":null,"created":"x"})"}) {
    const ChunkHead head = ReadChunkHead(data);
    EXPECT_EQ(head.id, "") << data;
    EXPECT_EQ(head.model, "") << data;
    EXPECT_EQ(head.created_s, 0) << data;
  }
}

}  // namespace
}  // namespace penstock
