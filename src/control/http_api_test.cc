#include "control/http_api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <variant>

#include "base/test_folder.h"
#include "control/billing.h"
#include "control/gguf_sample.h"
#include "control/json_reader.h"
#include "control/key_service.h"
#include "control/posted.h"
#include "control/scaler.h"

namespace penstock::control {
namespace {

constexpr std::string_view kEndpoints = "/api/2.0/serving-endpoints";
constexpr std::string_view kModels = "/api/2.1/unity-catalog/models";

class HttpApiTest : public testing::Test {
 protected:
  struct Reply {
    int status = 0;
    boost::json::object json = {};
    std::string error_code() const {
      const auto* code = json.if_contains("error_code");
      return code == nullptr ? "" : std::string(code->as_string());
    }
    std::string message() const {
      const auto* message = json.if_contains("message");
      return message == nullptr ? "" : std::string(message->as_string());
    }
  };

  void SetUp() override {
    model_path_ = folder_.Write("model.gguf", GgufSample{}.Bytes());
    Open();
  }

  // As after a restart.
  void Open() {
    parts_.reset();
    auto store = store::Store::Open(folder_.File("penstock.db"));
    ASSERT_TRUE(store) << store.error().message;
    parts_ = std::make_unique<Parts>(std::move(*store));
    ASSERT_TRUE(parts_->endpoints.Load(now_));
  }

  Reply Send(const std::string& method, const std::string& path, const std::string& body = "",
             policy::Role role = policy::Role::kAdmin) {
    const ApiAnswer answer = parts_->api.Handle(
        {.method = method, .path = path, .body = body, .caller = {.name = "tester", .role = role}},
        {.now = now_, .wall = WallTime(std::chrono::milliseconds(1234))});
    auto json = ParseJsonObject(answer.body);
    EXPECT_TRUE(json) << answer.body;
    return {.status = answer.status, .json = json.value_or(boost::json::object())};
  }
  Reply RegisterModel(const std::string& name) {
    return Send("POST", std::string(kModels),
                fmt::format(R"({{"name":"{}","source":"{}"}})", name, model_path_));
  }
  Reply CreateEndpoint(const std::string& name, const std::string& model) {
    return Send("POST", std::string(kEndpoints),
                fmt::format(R"({{"name":"{}","config":{{"served_entities":[{{"entity_name":"{}",
                            "entity_version":1,"min_provisioned_throughput":100,
                            "max_provisioned_throughput":200}}]}}}})",
                            name, model));
  }
  std::string EndpointPath(const std::string& name) {
    return fmt::format("{}/{}", kEndpoints, name);
  }
  std::string ModelPath(const std::string& name) { return fmt::format("{}/{}", kModels, name); }

  struct Parts {
    explicit Parts(store::Store opened) : store(std::move(opened)) {}
    store::Store store;
    Reconciler reconciler;
    Catalog catalog{store};
    EndpointEvents events{store};
    Calibrations calibrations{store, "hardware"};
    Posted posted;
    BackgroundJobs jobs{posted.Post()};
    ModelWorks works{catalog,
                     calibrations,
                     jobs,
                     {.calibrate = CalibratePolicy::kNever,
                      .machine = {.memory_bytes = std::int64_t{24} << 30}}};
    EndpointService endpoints{
        store,
        catalog,
        reconciler,
        events,
        {.calibration =
             [this](const store::ModelVersionRecord& version) {
               return works.CalibrationOf(version);
             },
         .check_model =
             [this](const store::ModelVersionRecord& version) { return works.CheckUse(version); }}};
    ModelService models{catalog, endpoints, works};
    Scaler scaler;
    Billing billing{store};
    KeyService keys{store, [] {}};
    HttpApi api{{.endpoints = endpoints,
                 .models = models,
                 .scaler = &scaler,
                 .billing = &billing,
                 .keys = &keys}};
  };

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  TestFolder folder_;
  std::string model_path_;
  std::unique_ptr<Parts> parts_;
};

TEST_F(HttpApiTest, RegistersAModel) {
  const Reply created = RegisterModel("main.demo.tiny");
  EXPECT_EQ(created.status, 200) << created.message();
  EXPECT_EQ(created.json.at("full_name"), "main.demo.tiny");
  EXPECT_EQ(created.json.at("name"), "tiny");
  EXPECT_EQ(created.json.at("catalog_name"), "main");
  EXPECT_EQ(created.json.at("created_by"), "tester");

  Open();
  EXPECT_EQ(Send("GET", ModelPath("main.demo.tiny")).json.at("created_at"), 1234);
  EXPECT_EQ(Send("GET", std::string(kModels)).json.at("registered_models").as_array().size(), 1u);
  const Reply version = Send("GET", ModelPath("main.demo.tiny/versions/1"));
  EXPECT_EQ(version.json.at("version"), 1);
  EXPECT_EQ(version.json.at("status"), "READY");
  EXPECT_EQ(version.json.at("source").as_string(), model_path_);
  EXPECT_EQ(version.json.at("storage_location").as_string(), model_path_);
  EXPECT_EQ(version.json.at("format").at("architecture"), "llama");
}

TEST_F(HttpApiTest, RegistersUnderSeparateNames) {
  const Reply created =
      Send("POST", std::string(kModels),
           fmt::format(R"({{"catalog_name":"a","schema_name":"b","name":"c","source":"{}"}})",
                       model_path_));
  EXPECT_EQ(created.json.at("full_name"), "a.b.c");
}

TEST_F(HttpApiTest, AddsAndDeletesVersions) {
  RegisterModel("a.b.c");
  const Reply second =
      Send("POST", ModelPath("a.b.c/versions"), fmt::format(R"({{"source":"{}"}})", model_path_));
  EXPECT_EQ(second.json.at("version"), 2);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/versions")).json.at("model_versions").as_array().size(),
            2u);
  EXPECT_EQ(Send("DELETE", ModelPath("a.b.c/versions/2")).status, 200);
  EXPECT_EQ(Send("DELETE", ModelPath("a.b.c/versions/2")).status, 404);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/versions/x")).error_code(), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(
      Send("POST", ModelPath("a.b.none/versions"), fmt::format(R"({{"source":"{}"}})", model_path_))
          .error_code(),
      "RESOURCE_DOES_NOT_EXIST");
}

TEST_F(HttpApiTest, SaysWhatASourceMayBe) {
  const Reply refused =
      Send("POST", std::string(kModels), R"({"name":"a.b.c","source":"http://h/m.gguf"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.json.at("message").as_string().find("source must be hf:ORG/NAME"),
            std::string::npos)
      << refused.json;
}

TEST_F(HttpApiTest, RefusesBadModels) {
  const std::string truncated = folder_.Write("cut.gguf", GgufSample{}.Bytes().substr(0, 30));
  const auto with_source = [this](const std::string& source) {
    return Send("POST", std::string(kModels),
                fmt::format(R"({{"name":"a.b.c","source":"{}"}})", source));
  };
  const Reply cut = with_source(truncated);
  EXPECT_EQ(cut.status, 422);
  EXPECT_NE(cut.message().find("truncated"), std::string::npos);
  EXPECT_NE(cut.message().find(truncated), std::string::npos);
  EXPECT_EQ(with_source("/no/such/file").status, 400);
  EXPECT_EQ(with_source("").status, 400);
  EXPECT_EQ(Send("POST", std::string(kModels), "{").error_code(), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(Send("POST", ModelPath("versions"), R"({"model_name":"a.b.c"})").status, 400);
  EXPECT_EQ(Send("POST", std::string(kModels), R"({"name":"short","source":"/x"})").status, 400);
  RegisterModel("a.b.c");
  EXPECT_EQ(RegisterModel("a.b.c").error_code(), "RESOURCE_ALREADY_EXISTS");
  EXPECT_EQ(Send("GET", std::string(kModels)).json.at("registered_models").as_array().size(), 1u);
}

TEST_F(HttpApiTest, CreatesAnEndpoint) {
  RegisterModel("a.b.c");
  const Reply created = CreateEndpoint("chat", "a.b.c");
  EXPECT_EQ(created.status, 200) << created.message();
  EXPECT_EQ(created.json.at("name"), "chat");
  EXPECT_EQ(created.json.at("id").as_string().size(), 32u);
  EXPECT_EQ(created.json.at("creator"), "tester");
  EXPECT_EQ(created.json.at("creation_timestamp"), 1234);
  EXPECT_EQ(created.json.at("task"), "llm/v1/chat");
  EXPECT_EQ(created.json.at("state").at("config_update"), "IN_PROGRESS");
  ASSERT_EQ(parts_->reconciler.Step(now_).size(), 3u);  // Publish, start, probe.

  Open();
  const Reply found = Send("GET", EndpointPath("chat"));
  EXPECT_EQ(found.json.at("id"), created.json.at("id"));
  EXPECT_EQ(Send("GET", std::string(kEndpoints)).json.at("endpoints").as_array().size(), 1u);
  // The reconciler was told of it again.
  EXPECT_EQ(parts_->reconciler.Step(now_).size(), 3u);
}

TEST_F(HttpApiTest, RefusesBadEndpoints) {
  RegisterModel("a.b.c");
  CreateEndpoint("chat", "a.b.c");
  const Reply twice = CreateEndpoint("chat", "a.b.c");
  EXPECT_EQ(twice.status, 409);
  EXPECT_EQ(twice.error_code(), "RESOURCE_ALREADY_EXISTS");
  EXPECT_EQ(twice.message(), "endpoint chat exists already");
  const Reply no_model = CreateEndpoint("other", "a.b.none");
  EXPECT_EQ(no_model.status, 404);
  EXPECT_EQ(no_model.error_code(), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(CreateEndpoint("a b", "a.b.c").error_code(), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(Send("GET", EndpointPath("none")).error_code(), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(Send("DELETE", EndpointPath("none")).status, 404);
  EXPECT_EQ(Send("GET", std::string(kEndpoints)).json.at("endpoints").as_array().size(), 1u);
}

TEST_F(HttpApiTest, DeletesAnEndpoint) {
  RegisterModel("a.b.c");
  const auto first_id = CreateEndpoint("chat", "a.b.c").json.at("id");
  EXPECT_EQ(Send("DELETE", EndpointPath("chat")).status, 200);
  EXPECT_EQ(Send("GET", EndpointPath("chat")).status, 404);
  EXPECT_NE(CreateEndpoint("chat", "a.b.c").json.at("id"), first_id);
  Open();
  EXPECT_NE(Send("GET", EndpointPath("chat")).json.at("id"), first_id);
}

TEST_F(HttpApiTest, ServedModelCannotBeDeleted) {
  RegisterModel("a.b.c");
  CreateEndpoint("chat", "a.b.c");
  for (const char* path : {"a.b.c", "a.b.c/versions/1"}) {
    const Reply refused = Send("DELETE", ModelPath(path));
    EXPECT_EQ(refused.status, 409);
    EXPECT_EQ(refused.error_code(), "RESOURCE_CONFLICT");
    EXPECT_NE(refused.message().find("chat"), std::string::npos);
  }
  Send("DELETE", EndpointPath("chat"));
  EXPECT_EQ(Send("DELETE", ModelPath("a.b.c")).status, 200);
  EXPECT_EQ(Send("DELETE", ModelPath("a.b.c")).status, 404);
}

TEST_F(HttpApiTest, UsersMayLookButNotChange) {
  RegisterModel("a.b.c");
  CreateEndpoint("chat", "a.b.c");
  const auto as_user = [this](const std::string& method, const std::string& path) {
    return Send(method, path, "{}", policy::Role::kUser);
  };
  EXPECT_EQ(as_user("GET", EndpointPath("chat")).json.at("permission_level"), "CAN_QUERY");
  EXPECT_EQ(as_user("GET", std::string(kModels)).status, 200);
  for (const auto& [method, path] :
       {std::pair("POST", std::string(kEndpoints)), std::pair("DELETE", EndpointPath("chat")),
        std::pair("POST", std::string(kModels)), std::pair("DELETE", ModelPath("a.b.c"))}) {
    const Reply refused = as_user(method, path);
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.error_code(), "PERMISSION_DENIED");
  }
  EXPECT_EQ(Send("GET", EndpointPath("chat")).status, 200);
}

TEST_F(HttpApiTest, AnswersTheSeedsOptimizationInfo) {
  RegisterModel("ml.llm-catalog.foundation-model");
  const std::string path =
      EndpointPath("get-model-optimization-info/ml.llm-catalog.foundation-model/");
  const Reply info = Send("GET", path + "1");
  EXPECT_EQ(info.json.at("optimizable"), true);
  EXPECT_EQ(info.json.at("model_type"), "llama");
  EXPECT_EQ(info.json.at("throughput_chunk_size"), 1);
  EXPECT_EQ(Send("GET", path + "2").status, 404);
}

// 40 GB of weights on 24 GB of memory: told with the numbers before anything is loaded.
TEST_F(HttpApiTest, ModelsLargerThanTheMemoryAreRefused) {
  std::filesystem::resize_file(model_path_, std::uintmax_t{40} << 30);  // Sparse.
  RegisterModel("a.b.c");
  const Reply info = Send("GET", EndpointPath("get-model-optimization-info/a.b.c/1"));
  EXPECT_EQ(info.json.at("optimizable"), false);
  const std::string reason(info.json.at("reason").as_string());
  EXPECT_NE(reason.find("42.9 GB of weights"), std::string::npos) << reason;
  EXPECT_NE(reason.find("25.8 GB of memory"), std::string::npos) << reason;
  const Reply refused = CreateEndpoint("chat", "a.b.c");
  EXPECT_EQ(refused.error_code(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(refused.message(), reason);
}

TEST_F(HttpApiTest, CalibrationDecidesTheChunk) {
  RegisterModel("a.b.c");
  const auto version = parts_->catalog.GetVersion("a.b.c", 1);
  policy::Calibration calibration{.model_hash = version->fingerprint,
                                  .hardware_hash = "hardware",
                                  .cost_per_s = 1000,
                                  .weights = {.output = 1},
                                  .chunk_tokens_per_s = 200};
  ASSERT_TRUE(parts_->calibrations.Keep(calibration));
  Open();
  const Reply info = Send("GET", EndpointPath("get-model-optimization-info/a.b.c/1"));
  EXPECT_EQ(info.json.at("throughput_chunk_size"), 200);
  EXPECT_EQ(info.json.at("calibration").at("state"), "DONE");
  const Reply shown = Send("GET", "/api/2.0/penstock/models/a.b.c/versions/1/calibration");
  EXPECT_EQ(shown.json.at("calibration").at("cost_per_s").to_number<double>(), 1000);
  const Reply odd = CreateEndpoint("chat", "a.b.c");  // 100 to 200.
  EXPECT_EQ(odd.error_code(), "INVALID_PARAMETER_VALUE");
  EXPECT_NE(odd.message().find("the nearest are 0 and 200"), std::string::npos) << odd.message();
  // 2000 tokens/s are more than one replica's 850.
  const Reply good = Send("POST", std::string(kEndpoints),
                          R"({"name":"chat","config":{"served_entities":[{"entity_name":"a.b.c",
                          "entity_version":"1","min_provisioned_throughput":2000,
                          "max_provisioned_throughput":2000}]}})");
  ASSERT_EQ(good.status, 200) << good.message();
  std::size_t starts = 0;
  for (const Action& action : parts_->reconciler.Step(now_)) {
    starts += std::holds_alternative<StartReplica>(action) ? 1 : 0;
  }
  EXPECT_EQ(starts, 3U);
}

TEST_F(HttpApiTest, ModelsCanBeChanged) {
  const Reply empty =
      Send("POST", std::string(kModels), R"({"name":"a.b.c","comment":"one","tags":{"team":"x"}})");
  EXPECT_EQ(empty.json.at("tags").at("team"), "x");
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/versions")).json.at("model_versions").as_array().size(),
            0u);
  const Reply changed = Send("PATCH", ModelPath("a.b.c"),
                             R"({"owner":"bob","comment":"two","default_system_prompt":"Hi."})");
  EXPECT_EQ(changed.json.at("owner"), "bob");
  EXPECT_EQ(changed.json.at("updated_by"), changed.json.at("created_by"));  // Not the owner.
  Open();
  const Reply again = Send("GET", ModelPath("a.b.c"));
  EXPECT_EQ(again.json.at("comment"), "two");
  EXPECT_EQ(again.json.at("default_system_prompt"), "Hi.");
  EXPECT_EQ(again.json.at("tags").at("team"), "x");
  EXPECT_EQ(Send("PATCH", ModelPath("a.b.c"), R"({"new_name":"d"})").status, 501);
  EXPECT_EQ(Send("PATCH", ModelPath("a.b.d"), "{}").status, 404);
  EXPECT_EQ(Send("PATCH", ModelPath("a.b.c"),
                 fmt::format(R"({{"comment":"{}"}})", std::string(kCommentSizeMax + 1, 'x')))
                .status,
            400);
}

TEST_F(HttpApiTest, WhoChangedAModelLastIsKept) {
  RegisterModel("a.b.c");
  const auto by = [this](const char* who, const char* method, const std::string& path,
                         const std::string& body) {
    return parts_->api
        .Handle({.method = method,
                 .path = path,
                 .body = body,
                 .caller = {.name = who, .role = policy::Role::kAdmin}},
                {})
        .status;
  };
  EXPECT_EQ(by("cyd", "PATCH", ModelPath("a.b.c"), R"({"comment":"new"})"), 200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("updated_by"), "cyd");
  EXPECT_EQ(by("dan", "PATCH", ModelPath("a.b.c/versions/1"), R"({"comment":"new"})"), 200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/versions/1")).json.at("updated_by"), "dan");
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("updated_by"), "cyd");
  EXPECT_EQ(by("eve", "POST", "/api/2.0/mlflow/registered-models/set-tag",
               R"({"name":"a.b.c","key":"k","value":"v"})"),
            200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("updated_by"), "eve");
  EXPECT_EQ(by("fay", "POST", ModelPath("a.b.c/versions"),
               fmt::format(R"({{"source":"{}"}})", model_path_)),
            200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("updated_by"), "fay");
}

TEST_F(HttpApiTest, AliasesNameVersions) {
  RegisterModel("a.b.c");
  EXPECT_EQ(Send("PUT", ModelPath("a.b.c/aliases/champion"), R"({"version_num":1})").status, 200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/aliases/champion")).json.at("version"), 1);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("aliases").as_array().size(), 1u);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/versions/1")).json.at("aliases").at(0).at("alias_name"),
            "champion");
  EXPECT_EQ(Send("GET", ModelPath("a.b.c")).json.at("aliases").at(0).at("model_name"), "c");
  EXPECT_EQ(Send("PUT", ModelPath("a.b.c/aliases/champion"), R"({"version_num":2})").status, 404);
  EXPECT_EQ(Send("PUT", ModelPath("a.b.c/aliases/7"), R"({"version_num":1})").status, 400);
  EXPECT_EQ(Send("PUT", ModelPath("a.b.c/aliases/x"), "{}").status, 400);
  EXPECT_EQ(Send("DELETE", ModelPath("a.b.c/aliases/champion")).status, 200);
  EXPECT_EQ(Send("GET", ModelPath("a.b.c/aliases/champion")).status, 404);
}

TEST_F(HttpApiTest, ListsAreCutIntoPages) {
  for (const char* name : {"a.b.1", "a.b.2", "a.b.3", "x.y.1"}) RegisterModel(name);
  const auto list = [this](const std::string& query) {
    const ApiAnswer answer = parts_->api.Handle(
        {.method = "GET", .path = std::string(kModels), .caller = {.name = "t"}, .query = query},
        {});
    return ParseJsonObject(answer.body).value();
  };
  const auto first = list("max_results=2");
  EXPECT_EQ(first.at("registered_models").as_array().size(), 2u);
  const auto second =
      list("max_results=2&page_token=" + std::string(first.at("next_page_token").as_string()));
  EXPECT_EQ(second.at("registered_models").at(1).at("full_name"), "x.y.1");
  EXPECT_FALSE(second.contains("next_page_token"));
  EXPECT_EQ(list("catalog_name=a&schema_name=b").at("registered_models").as_array().size(), 3u);
  // One without the other says nothing, as at the vendor's.
  EXPECT_EQ(list("catalog_name=a").at("error_code"), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(list("schema_name=b").at("error_code"), "INVALID_PARAMETER_VALUE");
  EXPECT_EQ(list("page_token=zz").at("error_code"), "INVALID_PARAMETER_VALUE");
}

TEST_F(HttpApiTest, KnowsItsPaths) {
  const Reply method = Send("PUT", std::string(kEndpoints));
  EXPECT_EQ(method.status, 405);
  EXPECT_NE(method.message().find("GET, POST"), std::string::npos);
  for (const char* path : {"/api/2.0/serving-endpoints/", "/api/2.0/serving-endpoints/a/b/c",
                           "/api/2.0/other", "/", "", "//", "/api/2.0/serving-endpointsX"}) {
    EXPECT_EQ(Send("GET", path).status, 404) << path;
  }
  EXPECT_EQ(Send("GET", "/api/2.0/serving-endpoints/%zz").status, 400);
}

TEST_F(HttpApiTest, DecodesNames) {
  RegisterModel("a.b.c");
  EXPECT_EQ(Send("GET", ModelPath("a%2Eb%2Ec")).status, 200);
}

TEST_F(HttpApiTest, RoutesFollowTheReconciler) {
  RegisterModel("a.b.c");
  CreateEndpoint("chat", "a.b.c");
  const auto address_of = [](std::uint64_t replica) { return fmt::format("unix:/{}", replica); };
  parts_->reconciler.Step(now_);
  EXPECT_TRUE(parts_->endpoints.Routes(address_of).Find("chat")->served[0].replicas.empty());
  parts_->reconciler.OnProbe(1, true, "", now_);
  EXPECT_TRUE(parts_->endpoints.Advance({.now = now_, .wall = {}}));
  const auto route = parts_->endpoints.Routes(address_of).Find("chat");
  ASSERT_EQ(route->served[0].replicas.size(), 1u);
  EXPECT_EQ(route->served[0].replicas[0].address, "unix:/1");
  EXPECT_EQ(route->served[0].name, "a.b.c-1");
  EXPECT_EQ(route->served[0].model, "a.b.c");
  EXPECT_EQ(route->served[0].range, (policy::ThroughputRange{.minimum = 100, .maximum = 200}));
}

// A definition that somebody edited by hand stops the start with its name.
TEST_F(HttpApiTest, DamagedRowsAreNamed) {
  RegisterModel("a.b.c");
  CreateEndpoint("chat", "a.b.c");
  parts_.reset();
  {
    auto database = store::Database::Open(folder_.File("penstock.db"), 0x504E5354);
    ASSERT_TRUE(database->Execute("UPDATE endpoint SET definition = '{}'"));
  }
  auto store = store::Store::Open(folder_.File("penstock.db"));
  Parts parts(std::move(*store));
  const auto loaded = parts.endpoints.Load(now_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::kCorrupt);
  EXPECT_NE(loaded.error().message.find("endpoint chat"), std::string::npos);
}

}  // namespace
}  // namespace penstock::control
