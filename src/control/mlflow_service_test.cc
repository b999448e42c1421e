#include "control/mlflow_service.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "control/gguf_sample.h"
#include "control/posted.h"

namespace penstock::control {
namespace {

class MlflowServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::Open(folder_.File("penstock.db"));
    ASSERT_TRUE(opened) << opened.error().message;
    parts_ = std::make_unique<Parts>(std::move(*opened));
    model_ = folder_.Write("m.gguf", GgufSample{}.Bytes());
  }
  Result<boost::json::object> Send(std::string_view method, std::string_view path,
                                   const std::string& body = "", std::string_view query = "") {
    return parts_->mlflow.Handle(method, path, query, body, {.name = "ada"}, {});
  }
  void CreateModelAndVersion() {
    ASSERT_TRUE(Send("POST", "registered-models/create", R"({"name":"a.b.c","description":"d",
        "tags":[{"key":"k","value":"v"}]})"));
    ASSERT_TRUE(Send("POST", "model-versions/create",
                     fmt::format(R"({{"name":"a.b.c","source":"{}","run_id":"r"}})", model_)));
  }

  struct Parts {
    explicit Parts(store::Store opened) : store(std::move(opened)) {}
    store::Store store;
    Reconciler reconciler;
    Catalog catalog{store};
    Calibrations calibrations{store, "hardware"};
    Posted posted;
    BackgroundJobs jobs{posted.Post()};
    ModelWorks works{catalog, calibrations, jobs, {.calibrate = CalibratePolicy::kNever}};
    EndpointEvents events{store};
    EndpointService endpoints{store, catalog, reconciler, events};
    ModelService models{catalog, endpoints, works};
    MlflowService mlflow{catalog, models};
  };
  TestFolder folder_;
  std::string model_;
  std::unique_ptr<Parts> parts_;
};

TEST_F(MlflowServiceTest, RegistersInTwoSteps) {
  CreateModelAndVersion();
  const auto model = Send("GET", "registered-models/get", "", "name=a.b.c");
  ASSERT_TRUE(model) << model.error().message;
  const auto& shown = model->at("registered_model");
  EXPECT_EQ(shown.at("description"), "d");
  EXPECT_EQ(shown.at("tags").at(0).at("key"), "k");
  EXPECT_EQ(shown.at("latest_versions").at(0).at("version"), "1");  // A text.
  EXPECT_EQ(shown.at("latest_versions").at(0).at("run_id"), "r");
  const auto uri = Send("GET", "model-versions/get-download-uri", "", "name=a.b.c&version=1");
  EXPECT_EQ(uri->at("artifact_uri").as_string(), model_);
}

TEST_F(MlflowServiceTest, VersionsAreTextsOrNumbers) {
  CreateModelAndVersion();
  for (const char* body : {R"({"name":"a.b.c","version":"1","description":"x"})",
                           R"({"name":"a.b.c","version":1,"description":"x"})"}) {
    const auto changed = Send("PATCH", "model-versions/update", body);
    ASSERT_TRUE(changed) << changed.error().message;
    EXPECT_EQ(changed->at("model_version").at("description"), "x");
  }
  EXPECT_EQ(Send("GET", "model-versions/get", "", "name=a.b.c&version=x").error().field, "version");
  EXPECT_EQ(Send("GET", "model-versions/get", "", "name=a.b.c&version=9").error().code,
            Code::kNotFound);
}

TEST_F(MlflowServiceTest, AliasesAndTags) {
  CreateModelAndVersion();
  ASSERT_TRUE(Send("POST", "registered-models/alias",
                   R"({"name":"a.b.c","alias":"champion","version":"1"})"));
  const auto found = Send("GET", "registered-models/alias", "", "name=a.b.c&alias=champion");
  EXPECT_EQ(found->at("model_version").at("aliases").at(0), "champion");
  ASSERT_TRUE(Send("DELETE", "registered-models/alias", R"({"name":"a.b.c","alias":"champion"})"));
  EXPECT_FALSE(Send("GET", "registered-models/alias", "", "name=a.b.c&alias=champion"));
  ASSERT_TRUE(Send("POST", "model-versions/set-tag",
                   R"({"name":"a.b.c","version":"1","key":"stage","value":"new"})"));
  const auto tagged = Send("GET", "model-versions/get", "", "name=a.b.c&version=1");
  EXPECT_EQ(tagged->at("model_version").at("tags").at(0).at("value"), "new");
  ASSERT_TRUE(Send("DELETE", "model-versions/delete-tag",
                   R"({"name":"a.b.c","version":"1","key":"stage"})"));
  ASSERT_TRUE(Send("DELETE", "registered-models/delete-tag", R"({"name":"a.b.c","key":"k"})"));
  for (std::size_t i = 0; i < kModelTagsMax; ++i) {
    ASSERT_TRUE(Send("POST", "registered-models/set-tag",
                     fmt::format(R"({{"name":"a.b.c","key":"{}","value":""}})", i)));
  }
  EXPECT_EQ(Send("POST", "registered-models/set-tag", R"({"name":"a.b.c","key":"z","value":""})")
                .error()
                .code,
            Code::kInvalidArgument);
}

TEST_F(MlflowServiceTest, Searches) {
  CreateModelAndVersion();
  ASSERT_TRUE(Send("POST", "registered-models/create", R"({"name":"a.b.d"})"));
  const auto count = [this](const std::string& filter) {
    const auto found = Send("GET", "registered-models/search",
                            filter.empty() ? "" : fmt::format(R"({{"filter":"{}"}})", filter));
    return found ? static_cast<int>(found->at("registered_models").as_array().size()) : -1;
  };
  EXPECT_EQ(count(""), 2);
  EXPECT_EQ(count("name='a.b.c'"), 1);
  EXPECT_EQ(count("name LIKE 'a.b.%'"), 2);
  EXPECT_EQ(count("name = 'none'"), 0);
  EXPECT_EQ(count("tags.x = 'y'"), -1);
  const auto versions = Send("GET", "model-versions/search", "", "filter=name%3D%27a.b.c%27");
  EXPECT_EQ(versions->at("model_versions").as_array().size(), 1U);
}

TEST_F(MlflowServiceTest, DeletesByBodyOrQuery) {
  CreateModelAndVersion();
  ASSERT_TRUE(Send("DELETE", "model-versions/delete", "", "name=a.b.c&version=1"));
  ASSERT_TRUE(Send("DELETE", "registered-models/delete", R"({"name":"a.b.c"})"));
  EXPECT_EQ(Send("GET", "registered-models/get", "", "name=a.b.c").error().code, Code::kNotFound);
}

TEST_F(MlflowServiceTest, KnowsItsPaths) {
  EXPECT_EQ(Send("GET", "experiments/list").error().code, Code::kNotFound);
  EXPECT_EQ(Send("GET", "registered-models/create").error().code, Code::kMethodNotAllowed);
  EXPECT_EQ(Send("POST", "registered-models/create", "{}").error().field, "name");
  EXPECT_EQ(Send("POST", "registered-models/create", "[").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::control
