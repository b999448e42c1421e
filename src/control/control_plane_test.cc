// The shell with real processes, sockets and store; only the model is missing (fake_engine.cc).
#include "control/control_plane.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <set>

#include "base/test_folder.h"
#include "control/gguf_sample.h"
#include "control/json_reader.h"
#include "io/epoll/epoll_loop.h"

namespace penstock::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Far more than anything here takes; only a hang meets it.
constexpr Duration kPatience = seconds(60);

class ControlPlaneTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(Deadline::Never()); }

  void Open() {
    auto data = store::DataDirectory::Open(folder_.File("data"));
    ASSERT_TRUE(data) << data.error().message;
    ControlPlaneSettings settings{
        .engine_command =
            [](const EngineLaunch& launch) {
              const std::string file = launch.model_path.substr(launch.model_path.rfind('/') + 1);
              return std::vector<std::string>{PENSTOCK_FAKE_ENGINE, launch.address,
                                              file.substr(0, file.find('.'))};
            },
        .publish_routes = [this](auto routes) { routes_ = std::move(routes); }};
    settings.calibrate = CalibratePolicy::kNever;  // There is no model to measure.
    settings.replica = {.backoff_min = milliseconds(1),
                        .probe_interval = milliseconds(20),
                        .drain_wait = milliseconds(10),
                        .stop_max = milliseconds(200)};
    settings.probe_wait_max = milliseconds(500);
    auto plane = ControlPlane::Open(loop_, std::move(*data), std::move(settings));
    ASSERT_TRUE(plane) << plane.error().message;
    plane_ = std::move(*plane);
    plane_->Start();
  }

  void Close(Deadline deadline) {
    if (plane_ == nullptr) return;
    io::RunBlocking(loop_, plane_->Shutdown(deadline));
    EXPECT_EQ(plane_->replicas_running(), 0u);
    plane_.reset();
  }

  boost::json::object Send(const std::string& method, const std::string& path,
                           const std::string& body = "") {
    const ApiAnswer answer =
        plane_->Handle({.method = method,
                        .path = path,
                        .body = body,
                        .caller = {.name = "tester", .role = policy::Role::kAdmin}});
    return ParseJsonObject(answer.body).value();
  }

  // An endpoint "e" whose replicas behave like that.
  void Create(const std::string& behaviour) {
    const std::string model = folder_.Write(behaviour + ".gguf", GgufSample{}.Bytes());
    Send("POST", "/api/2.1/unity-catalog/models",
         fmt::format(R"({{"name":"a.b.{}","source":"{}"}})", behaviour, model));
    Send("POST", "/api/2.0/serving-endpoints",
         fmt::format(R"({{"name":"e","config":{{"served_entities":[
                     {{"entity_name":"a.b.{}","entity_version":1}}]}}}})",
                     behaviour));
  }
  boost::json::object Endpoint() { return Send("GET", "/api/2.0/serving-endpoints/e"); }
  bool IsReady() { return Endpoint().at("state").at("ready") == "READY"; }

  static io::Task<void> PollUntil(io::Loop& loop, std::function<bool()> condition, bool& met) {
    const Deadline patience = Deadline::After(loop.Now(), kPatience);
    while (!(met = condition()) && !patience.Passed(loop.Now())) {
      (void)co_await loop.Sleep(milliseconds(2));
    }
  }
  // Runs the loop until then.
  void Await(const std::string& what, std::function<bool()> condition) {
    bool met = false;
    io::RunBlocking(loop_, PollUntil(loop_, std::move(condition), met));
    ASSERT_TRUE(met) << what << ": " << boost::json::serialize(Endpoint());
  }

  static io::Task<void> AskProcessId(io::Loop& loop, std::string address, pid_t& process) {
    http::Client client(loop);
    const http::Origin origin{
        .address = io::Address::Parse(address).value(), .connect = {}, .host = "x"};
    const Deadline patience = Deadline::After(loop.Now(), kPatience);
    auto response = co_await client.Send(origin, {.target = "/health"}, patience);
    if (!response) co_return;
    const auto body = co_await (*response)->ReadAll(100, patience);
    if (body) process = std::stoi(*body);
  }
  // Of the one replica that is routed.
  pid_t ProcessOfReplica() {
    const auto route = routes_->Find("e");
    EXPECT_EQ(route->served[0].replicas.size(), 1u);
    pid_t process = 0;
    io::RunBlocking(loop_, AskProcessId(loop_, route->served[0].replicas.at(0).address, process));
    EXPECT_GT(process, 0);
    return process;
  }

  static int LogsIn(const std::string& folder) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("e.")) ++count;
    }
    return count;
  }

  TestFolder folder_;
  io::EpollLoop loop_;
  std::shared_ptr<const policy::RoutingTable> routes_;
  std::unique_ptr<ControlPlane> plane_;
};

TEST_F(ControlPlaneTest, PublishesAnEmptyTableFirst) {
  ASSERT_NE(routes_, nullptr);
  EXPECT_EQ(routes_->size(), 0u);
}

TEST_F(ControlPlaneTest, BringsAnEndpointUpAndItsReplicaBack) {
  Create("ok");
  Await("ready", [this] { return IsReady(); });
  EXPECT_EQ(routes_->Find("e")->served[0].replicas.size(), 1u);
  const pid_t first = ProcessOfReplica();

  kill(first, SIGKILL);
  Await("noticed", [this] { return !IsReady(); });
  EXPECT_TRUE(routes_->Find("e")->served[0].replicas.empty());
  Await("back", [this] { return IsReady(); });
  EXPECT_NE(ProcessOfReplica(), first);
}

TEST_F(ControlPlaneTest, DeletedEndpointLeavesNoProcess) {
  Create("ok");
  Await("ready", [this] { return IsReady(); });
  const pid_t process = ProcessOfReplica();
  Send("DELETE", "/api/2.0/serving-endpoints/e");
  Await("gone", [this] { return plane_->replicas_running() == 0; });
  EXPECT_EQ(routes_->Find("e"), nullptr);
  EXPECT_EQ(kill(process, 0), -1);
}

TEST_F(ControlPlaneTest, RestartBringsEndpointsBack) {
  Create("ok");
  Await("ready", [this] { return IsReady(); });
  const auto id = Endpoint().at("id");
  Close(Deadline::Never());
  Open();
  EXPECT_EQ(Endpoint().at("id"), id);
  EXPECT_EQ(Endpoint().at("state").at("config_update"), "NOT_UPDATING");
  Await("ready", [this] { return IsReady(); });
}

TEST_F(ControlPlaneTest, CrashLoopSaysWhatTheEngineSaid) {
  Create("crash");
  Await("failed", [this] { return Endpoint().at("state").at("config_update") == "UPDATE_FAILED"; });
  const auto endpoint = Endpoint();
  const auto& entity = endpoint.at("pending_config").at("served_entities").at(0);
  EXPECT_EQ(entity.at("state").at("deployment"), "DEPLOYMENT_FAILED");
  const std::string message(entity.at("state").at("deployment_state_message").as_string());
  EXPECT_NE(message.find("exited with status 2; it printed last: loading | cannot load: broken on "
                         "purpose"),
            std::string::npos)
      << message;
}

TEST_F(ControlPlaneTest, HangingReplicaIsReplaced) {
  Create("hang");
  Await("ready", [this] { return IsReady(); });
  const std::uint64_t first = routes_->Find("e")->served[0].replicas.at(0).id;
  Await("replaced", [this, first] {
    const auto& replicas = routes_->Find("e")->served[0].replicas;
    return !replicas.empty() && replicas[0].id != first;
  });
}

TEST_F(ControlPlaneTest, ShutdownKillsTheDeaf) {
  Create("deaf");
  Await("ready", [this] { return IsReady(); });
  const pid_t process = ProcessOfReplica();
  Close(Deadline::After(loop_.Now(), milliseconds(50)));
  EXPECT_EQ(kill(process, 0), -1);
}

TEST_F(ControlPlaneTest, TidiesLogsOfDeletedEndpoints) {
  Create("ok");
  Await("ready", [this] { return IsReady(); });
  const std::string logs = plane_->data().log_path();
  EXPECT_EQ(LogsIn(logs), 1);
  Send("DELETE", "/api/2.0/serving-endpoints/e");
  Close(Deadline::Never());
  Open();
  EXPECT_EQ(LogsIn(logs), 0);
}

// Names of Azure's deployments have dots, as log files have.
TEST_F(ControlPlaneTest, KeepsTheLogsOfNamesWithDots) {
  Create("ok");
  const auto made = plane_->Handle(
      {.method = "PUT",
       .path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a/"
               "deployments/e.v1.5",
       .body = R"({"sku":{"name":"ProvisionedManaged","capacity":1},)"
               R"("properties":{"model":{"name":"a.b.ok","version":"1"}}})",
       .caller = {.name = "tester", .role = policy::Role::kAdmin},
       .query = "api-version=2024-10-01"});
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string logs = plane_->data().log_path();
  Await("both print", [&] { return LogsIn(logs) == 2; });
  Close(Deadline::Never());
  Open();
  EXPECT_EQ(LogsIn(logs), 2);
  Send("DELETE", "/api/2.0/serving-endpoints/e.v1.5");
  Close(Deadline::Never());
  Open();
  EXPECT_EQ(LogsIn(logs), 1);
}

TEST_F(ControlPlaneTest, EventsNameTheServedEntityAsItsEndpointDoes) {
  const std::string model = folder_.Write("ok.gguf", GgufSample{}.Bytes());
  Send("POST", "/api/2.1/unity-catalog/models",
       fmt::format(R"({{"name":"a.b.ok","source":"{}"}})", model));
  Send("POST", "/api/2.1/unity-catalog/models/a.b.ok/versions",
       fmt::format(R"({{"source":"{}"}})", model));
  Send("POST", "/api/2.0/serving-endpoints", R"({"name":"e","config":{"served_entities":[
       {"name":"old","entity_name":"a.b.ok","entity_version":1},
       {"name":"new","entity_name":"a.b.ok","entity_version":2}],"traffic_config":{"routes":[
       {"served_entity_name":"old","traffic_percentage":90},
       {"served_entity_name":"new","traffic_percentage":10}]}}})");
  Await("ready", [this] { return IsReady(); });
  std::set<std::string> named;
  const auto list = Send("GET", "/api/2.0/serving-endpoints/e/events");
  for (const auto& event : list.at("events").as_array()) {
    if (event.at("type") == "replica") {
      named.insert(std::string(event.at("served_entity_name").as_string()));
    }
  }
  EXPECT_EQ(named, (std::set<std::string>{"old", "new"}));
}

}  // namespace
}  // namespace penstock::control
