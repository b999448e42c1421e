#include "control/catalog.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/test_folder.h"
#include "control/external_model.h"
#include "control/gguf_sample.h"
#include "control/json_reader.h"
#include "control/model_works.h"
#include "control/posted.h"
#include "convert/test_model.h"

namespace penstock::control {
namespace {

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::Open(folder_.File("penstock.db"));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::make_unique<store::Store>(std::move(*opened));
    catalog_ = std::make_unique<Catalog>(*store_, folder_.File("hub"), folder_.path());
    calibrations_ = std::make_unique<Calibrations>(*store_, "hardware");
    jobs_ = std::make_unique<BackgroundJobs>(posted_.Post());
    std::filesystem::create_directories(folder_.File("converted"));
    works_ =
        std::make_unique<ModelWorks>(*catalog_, *calibrations_, *jobs_,
                                     ModelWorksSettings{.converted_path = folder_.File("converted"),
                                                        .hub_path = folder_.File("hub"),
                                                        .calibrate = CalibratePolicy::kNever});
  }
  Result<store::ModelVersionRecord> Register(const std::string& source) {
    return catalog_->Register({.full_name = "a.b.c", .source = source, .creator = "t"}, {});
  }
  store::ModelVersionRecord Version(std::int64_t number = 1) {
    return *catalog_->GetVersion("a.b.c", number);
  }
  // What a folder becomes in the end.
  std::string Await(const store::ModelVersionRecord& version) {
    EXPECT_TRUE(works_->Begin(version));
    posted_.RunUntil([&] { return Version(version.version).status != kVersionPending; });
    return Version(version.version).status;
  }

  TestFolder folder_;
  Posted posted_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Calibrations> calibrations_;
  std::unique_ptr<BackgroundJobs> jobs_;
  std::unique_ptr<ModelWorks> works_;
};

TEST_F(CatalogTest, FoldersAreConverted) {
  convert::TestModel().Write(folder_.File("m"));
  const auto version = Register(folder_.File("m"));
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_EQ(version->status, kVersionPending);
  EXPECT_EQ(CheckReady(*version).error().code, Code::kConflict);
  EXPECT_EQ(Await(*version), kVersionReady);
  const auto ready = Version();
  EXPECT_TRUE(CheckReady(ready));
  EXPECT_TRUE(ready.source.ends_with("converted/a.b.c-1.gguf")) << ready.source;
  EXPECT_EQ(ArchitectureOf(ready), "llama");
  EXPECT_EQ(TaskOf(ready), "llm/v1/chat");
  const VersionDetails details = ParseVersionDetails(ready.details);
  EXPECT_EQ(details.source, folder_.File("m"));
  EXPECT_EQ(details.context_length, 64);
  EXPECT_EQ(ready.size_bytes, static_cast<std::int64_t>(std::filesystem::file_size(ready.source)));
}

TEST_F(CatalogTest, WhatCannotBeConvertedSaysWhy) {
  convert::TestModel model;
  model.tensors.erase("model.norm.weight");
  model.Write(folder_.File("m"));
  const auto version = Register(folder_.File("m"));
  ASSERT_TRUE(version);
  EXPECT_EQ(Await(*version), kVersionFailed);
  const Status ready = CheckReady(Version());
  EXPECT_EQ(ready.error().code, Code::kUnsupported);
  EXPECT_NE(ready.error().message.find("model.norm.weight"), std::string::npos)
      << ready.error().message;
}

TEST_F(CatalogTest, WhatCannotBeServedIsRefusedAtOnce) {
  convert::TestModel model;
  model.config["architectures"] = boost::json::array{"DbrxForCausalLM"};
  model.Write(folder_.File("m"));
  EXPECT_EQ(Register(folder_.File("m")).error().code, Code::kUnsupported);
  convert::WriteText(folder_.File("k/MLmodel"), "flavors: {sklearn: {}}\n");
  EXPECT_EQ(Register(folder_.File("k")).error().code, Code::kUnsupported);
  EXPECT_FALSE(Register(folder_.File("none")));
  EXPECT_TRUE(catalog_->List()->empty());
}

TEST_F(CatalogTest, InstalledModelsAreSystemAi) {
  std::filesystem::create_directories(folder_.File("models"));
  folder_.Write("models/Tiny.1-chat.gguf", GgufSample{}.Bytes());
  folder_.Write("models/broken.gguf", "GGUF");
  folder_.Write("models/notes.txt", "not a model");
  convert::TestModel().Write(folder_.File("models/folder"));
  ASSERT_TRUE(works_->Resume(folder_.File("models"), {}));
  const auto models = catalog_->List();
  ASSERT_EQ(models->size(), 2U);
  EXPECT_EQ((*models)[0].full_name, "system.ai.Tiny_1-chat");
  EXPECT_EQ((*models)[1].full_name, "system.ai.folder");
  // Once; and again when the file is another.
  ASSERT_TRUE(works_->Resume(folder_.File("models"), {}));
  EXPECT_EQ(catalog_->ListVersions("system.ai.Tiny_1-chat")->size(), 1U);
  folder_.Write("models/Tiny.1-chat.gguf", GgufSample{.architecture = "qwen2"}.Bytes());
  ASSERT_TRUE(works_->Resume(folder_.File("models"), {}));
  EXPECT_EQ(catalog_->ListVersions("system.ai.Tiny_1-chat")->size(), 2U);
}

TEST_F(CatalogTest, OnlyReadyModelsAreCalibrated) {
  const std::string encoder = folder_.Write("e.gguf", GgufSample{.architecture = "bert"}.Bytes());
  ASSERT_TRUE(Register(encoder));
  EXPECT_TRUE(works_->CheckCalibratable(Version()));
  convert::TestModel().Write(folder_.File("m"));
  const auto pending = Register(folder_.File("m"));
  EXPECT_EQ(works_->CheckCalibratable(*pending).error().code, Code::kConflict);
}

TEST_F(CatalogTest, ExternalModels) {
  const auto json = ParseJsonObject(
      R"({"name":"gpt-4o","provider":"openai","task":"llm/v1/chat","openai_config":
      {"openai_api_base":"https://example.org/v1","openai_api_key_plaintext":"secret"}})");
  const auto version =
      catalog_->Register({.full_name = "a.b.c", .creator = "t", .external_model = *json}, {});
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_EQ(version->status, kVersionReady);
  EXPECT_EQ(TaskOf(*version), "llm/v1/chat");
  EXPECT_EQ(version->details.find("secret"), std::string::npos);
  const auto external = catalog_->ExternalOf(*version);
  ASSERT_TRUE(external);
  EXPECT_EQ(external->url, "https://example.org/v1");
  EXPECT_EQ(external->name, "gpt-4o");
  EXPECT_EQ(ReadSmallFile(external->key_path, 100).value_or(""), "secret");
  struct stat file{};
  ASSERT_EQ(stat(external->key_path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  ASSERT_TRUE(catalog_->DeleteVersion("a.b.c", 1));  // Its key goes with it.
  EXPECT_NE(stat(external->key_path.c_str(), &file), 0);
  EXPECT_EQ(works_->CheckCalibratable(*version).error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace penstock::control
