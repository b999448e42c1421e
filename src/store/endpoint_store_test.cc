// What the store keeps of endpoints beside their definitions: updates, events, billing.
#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "store/store.h"

namespace penstock::store {
namespace {

WallTime At(int ms) { return WallTime(std::chrono::milliseconds(ms)); }

class EndpointStoreTest : public testing::Test {
 protected:
  TestFolder folder_;
  Store store_ = Store::Open(folder_.File("db")).value();
};

TEST_F(EndpointStoreTest, UpdatesWhatIsThere) {
  EndpointRecord record{.id = "1", .name = "e", .definition = "{}", .update_state = "IN_PROGRESS"};
  ASSERT_TRUE(store_.AddEndpoint(record));
  record.definition = R"({"a":1})";
  record.config_version = 2;
  record.updated_at = At(5);
  ASSERT_TRUE(store_.UpdateEndpoint(record));
  const auto list = store_.ListEndpoints();
  EXPECT_EQ(list->at(0).definition, record.definition);
  EXPECT_EQ(list->at(0).config_version, 2);
  EXPECT_EQ(list->at(0).updated_at, At(5));
  record.id = "2";
  EXPECT_EQ(store_.UpdateEndpoint(record).error().code, Code::kNotFound);
}

TEST_F(EndpointStoreTest, KeepsTheNewestEvents) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(store_.AddEvent({.endpoint_id = "1",
                                 .at = At(i),
                                 .kind = "scaled",
                                 .served_entity = "m",
                                 .message = std::to_string(i)},
                                3));
  }
  ASSERT_TRUE(store_.AddEvent({.endpoint_id = "2", .kind = "created"}, 3));
  const auto events = store_.ListEvents("1");
  ASSERT_EQ(events->size(), 3u);
  EXPECT_EQ(events->at(0).message, "6");
  EXPECT_EQ(events->at(2).message, "4");
  ASSERT_TRUE(store_.DeleteEvents("1"));
  EXPECT_TRUE(store_.ListEvents("1")->empty());
  EXPECT_EQ(store_.ListEvents("2")->size(), 1u);
}

TEST_F(EndpointStoreTest, ProlongsBillingSpans) {
  BillingSpanRecord span{.endpoint_id = "1",
                         .served_entity = "m",
                         .from = At(10),
                         .until = At(20),
                         .endpoint = "e",
                         .model = "a.b.c",
                         .unit = "ptu",
                         .level = 15};
  ASSERT_TRUE(store_.PutBillingSpan(span));
  span.until = At(30);
  ASSERT_TRUE(store_.PutBillingSpan(span));
  EXPECT_EQ(store_.ListBillingSpans(At(0), At(100))->size(), 1u);
  EXPECT_EQ(store_.ListBillingSpans(At(25), At(100))->at(0).until, At(30));
  EXPECT_TRUE(store_.ListBillingSpans(At(30), At(100))->empty());
  EXPECT_TRUE(store_.ListBillingSpans(At(0), At(10))->empty());
}

}  // namespace
}  // namespace penstock::store
