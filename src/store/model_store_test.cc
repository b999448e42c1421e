// The catalog's part of the store.
#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "store/store.h"

namespace penstock::store {
namespace {

class ModelStoreTest : public testing::Test {
 protected:
  void Reopen() {
    store_.reset();
    auto opened = Store::Open(folder_.File("a.db"));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::make_unique<Store>(std::move(*opened));
  }
  void SetUp() override {
    Reopen();
    ModelVersionRecord version;
    version.full_name = "c.s.m";
    version.source = "/m.gguf";
    version.format = "{}";
    version.created_by = "ada";
    ASSERT_TRUE(store_->AddModelVersion(version, "first"));
    ASSERT_TRUE(store_->AddModelVersion(version, ""));
  }

  TestFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(ModelStoreTest, ModelsWithoutVersions) {
  const ModelRecord model{.full_name = "c.s.empty", .comment = "x", .created_by = "bob"};
  ASSERT_TRUE(store_->AddModel(model));
  EXPECT_EQ(store_->AddModel(model).error().code, Code::kAlreadyExists);
  Reopen();
  const auto found = store_->GetModel("c.s.empty");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->owner, "bob");
  EXPECT_EQ((*found)->last_version, 0);
}

TEST_F(ModelStoreTest, UpdatesStay) {
  auto model = **store_->GetModel("c.s.m");
  EXPECT_EQ(model.owner, "ada");
  model.owner = "bob";
  model.comment = "second";
  model.details = R"({"tags":{"a":"b"}})";
  ASSERT_TRUE(store_->UpdateModel(model));
  auto version = **store_->GetModelVersion("c.s.m", 2);
  EXPECT_EQ(version.status, "READY");
  version.status = "FAILED_REGISTRATION";
  version.details = R"({"why":"x"})";
  ASSERT_TRUE(store_->UpdateModelVersion(version));
  Reopen();
  EXPECT_EQ((**store_->GetModel("c.s.m")).owner, "bob");
  EXPECT_EQ((**store_->GetModel("c.s.m")).details, model.details);
  EXPECT_EQ((**store_->GetModelVersion("c.s.m", 2)).status, "FAILED_REGISTRATION");
  EXPECT_EQ((**store_->GetModelVersion("c.s.m", 1)).status, "READY");
  model.full_name = "c.s.none";
  EXPECT_EQ(store_->UpdateModel(model).error().code, Code::kNotFound);
  version.version = 9;
  EXPECT_EQ(store_->UpdateModelVersion(version).error().code, Code::kNotFound);
}

TEST_F(ModelStoreTest, AliasesFollowTheirVersions) {
  ASSERT_TRUE(store_->PutModelAlias({"c.s.m", "champion", 1}));
  ASSERT_TRUE(store_->PutModelAlias({"c.s.m", "champion", 2}));
  ASSERT_TRUE(store_->PutModelAlias({"c.s.m", "old", 1}));
  EXPECT_EQ(store_->PutModelAlias({"c.s.m", "x", 7}).error().code, Code::kConflict);
  const auto aliases = store_->ListModelAliases("c.s.m");
  ASSERT_EQ(aliases->size(), 2U);
  EXPECT_EQ((*aliases)[0].version, 2);
  ASSERT_TRUE(store_->DeleteModelVersion("c.s.m", 2));
  ASSERT_EQ(store_->ListModelAliases("c.s.m")->size(), 1U);
  EXPECT_TRUE(store_->DeleteModelAlias("c.s.m", "old"));
  EXPECT_EQ(store_->DeleteModelAlias("c.s.m", "old").error().code, Code::kNotFound);
}

TEST_F(ModelStoreTest, CalibrationsAreKeptByModelAndHardware) {
  const WallTime early(std::chrono::milliseconds(1000));
  const WallTime late(std::chrono::milliseconds(2000));
  ASSERT_TRUE(store_->PutCalibration({"m", "h1", "{\"a\":1}", early}));
  ASSERT_TRUE(store_->PutCalibration({"m", "h2", "{\"a\":2}", late}));
  ASSERT_TRUE(store_->PutCalibration({"m", "h1", "{\"a\":3}", early}));
  Reopen();
  EXPECT_EQ((**store_->GetCalibration("m", "h1")).document, "{\"a\":3}");
  EXPECT_FALSE(store_->GetCalibration("n", "h1")->has_value());
  const auto all = store_->ListCalibrations("m");
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].hardware_hash, "h2");
}

}  // namespace
}  // namespace penstock::store
