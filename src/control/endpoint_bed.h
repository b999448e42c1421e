// For tests: endpoints over their REST paths, with a store, a reconciler and no machine.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/test_folder.h"
#include "control/azure_api.h"
#include "control/billing.h"
#include "control/gguf_sample.h"
#include "control/http_api.h"
#include "control/json_reader.h"
#include "control/key_service.h"
#include "control/keys.h"
#include "control/posted.h"
#include "control/scaler.h"

namespace penstock::control {

class EndpointBed : public testing::Test {
 protected:
  static constexpr std::string_view kEndpoints = "/api/2.0/serving-endpoints";

  struct Reply {
    int status = 0;
    boost::json::object json = {};
    std::string Text(const char* key) const {
      const auto* value = json.if_contains(key);
      return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
    }
  };

  void SetUp() override {
    model_path_ = folder_.Write("model.gguf", GgufSample{}.Bytes());
    Open();
    for (int version = 1; version <= 2; ++version) {
      Send("POST",
           version == 1 ? "/api/2.1/unity-catalog/models"
                        : "/api/2.1/unity-catalog/models/a.b.c/versions",
           fmt::format(R"({{"name":"a.b.c","source":"{}"}})", model_path_));
    }
  }
  void Open() {
    parts_.reset();
    auto store = store::Store::Open(folder_.File("penstock.db"));
    ASSERT_TRUE(store) << store.error().message;
    std::filesystem::create_directory(Secrets());
    parts_ = std::make_unique<Parts>(std::move(*store), settings_, Secrets());
    ASSERT_TRUE(parts_->endpoints.Load(now_));
  }
  std::string Secrets() const { return folder_.File("secrets"); }
  Reply Send(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& user = "") {
    const ApiAnswer answer = parts_->api.Handle(
        {.method = method,
         .path = path,
         .body = body,
         .caller = {.name = user.empty() ? "tester" : user,
                    .role = user.empty() ? policy::Role::kAdmin : policy::Role::kUser}},
        Now());
    auto json = ParseJsonObject(answer.body);
    EXPECT_TRUE(json) << answer.body;
    return {.status = answer.status, .json = json.value_or(boost::json::object())};
  }
  Moment Now() const { return {.now = now_, .wall = WallTime(std::chrono::milliseconds(1234))}; }
  std::string Path(const std::string& rest) { return fmt::format("{}/{}", kEndpoints, rest); }
  static std::string Entity(int version, const std::string& more = "") {
    return fmt::format(R"({{"entity_name":"a.b.c","entity_version":{}{}}})", version, more);
  }
  static std::string Config(int version) {
    return fmt::format(R"({{"served_entities":[{}]}})", Entity(version));
  }
  Reply Create(const std::string& name, int version) {
    return Send("POST", std::string(kEndpoints),
                fmt::format(R"({{"name":"{}","config":{}}})", name, Config(version)));
  }
  // Starts what is wanted; all of it becomes healthy, or fails as often as it takes.
  void Run(bool healthy) {
    for (int turn = 0; turn < 30; ++turn) {
      for (const Action& action : parts_->reconciler.Step(now_)) {
        const auto* start = std::get_if<StartReplica>(&action);
        if (start == nullptr) continue;
        ++starts_;
        if (healthy) {
          parts_->reconciler.OnProbe(start->replica, true, "", now_);
        } else {
          parts_->reconciler.OnExit(start->replica, "exited with status 2", now_);
        }
      }
      parts_->endpoints.Advance(Now());
      now_ += std::chrono::seconds(1);
    }
  }
  policy::RoutingTable Routes() {
    return parts_->endpoints.Routes([](std::uint64_t id) { return fmt::format("unix:/{}", id); });
  }

  struct Parts {
    Parts(store::Store opened, const EndpointSettings& settings, const std::string& secrets)
        : store(std::move(opened)),
          catalog(store, "", secrets),
          endpoints(store, catalog, reconciler, events, settings) {}
    store::Store store;
    Reconciler reconciler;
    Catalog catalog;
    EndpointEvents events{store};
    EndpointService endpoints;
    Calibrations calibrations{store, "hardware"};
    Posted posted;
    BackgroundJobs jobs{posted.Post()};
    ModelWorks works{catalog, calibrations, jobs, {.calibrate = CalibratePolicy::kNever}};
    ModelService models{catalog, endpoints, works};
    Scaler scaler;
    Billing billing{store};
    int key_changes = 0;
    KeyService keys{store, [this] { ++key_changes; }};
    HttpApi api{{.endpoints = endpoints,
                 .models = models,
                 .scaler = &scaler,
                 .billing = &billing,
                 .keys = &keys}};
    AzureApi azure{{.endpoints = endpoints,
                    .models = models,
                    .scaler = &scaler,
                    .billing = &billing,
                    .keys = &keys},
                   catalog};
  };

  EndpointSettings settings_;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  TestFolder folder_;
  std::string model_path_;
  std::unique_ptr<Parts> parts_;
  int starts_ = 0;
};

}  // namespace penstock::control
