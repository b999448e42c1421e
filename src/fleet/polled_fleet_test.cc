#include "fleet/polled_fleet.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <sstream>

#include <spdlog/sinks/ostream_sink.h>

#include "base/log.h"
#include "base/test_folder.h"
#include "fleet/command.h"
#include "fleet/exec_backend.h"
#include "fleet/process_fleet.h"
#include "fleet/slurm_backend.h"
#include "fleet/split_fleet.h"

namespace penstock::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A hook that really starts processes: a file a replica, `sleep` in the place of an engine.
constexpr std::string_view kHook = R"sh(#!/bin/sh
dir=$(dirname "$0")/state
mkdir -p "$dir"
case "$1" in
  start)
    [ "$5" = fail ] && { echo "no machine is free" >&2; exit 1; }
    setsid "$5" "$6" >/dev/null 2>&1 &
    echo "$2" > "$dir/$!"; echo $! ;;
  stop) kill "$2" 2>/dev/null; true ;;
  list)
    for file in "$dir"/*; do
      [ -e "$file" ] || continue
      id=$(basename "$file")
      state=ended; kill -0 "$id" 2>/dev/null && state=running
      echo "$id $(cat "$file") $state 127.0.0.1:$id"
      [ $state = ended ] && rm "$file"
    done; true ;;
esac
)sh";

class ExecFleetTest : public testing::Test {
 protected:
  void SetUp() override {
    hook_ = folder_.Write("hook", std::string(kHook));
    ASSERT_EQ(chmod(hook_.c_str(), 0700), 0);
    Open();
  }
  void Open() {
    fleet_.reset();
    fleet_ = PolledFleet::Open(
                 std::make_unique<ExecBackend>(ExecSettings{.hook = hook_, .instance = "abc"}),
                 milliseconds(20))
                 .value();
  }
  void TearDown() override {
    for (const std::uint64_t id : fleet_->RunningIds()) fleet_->Kill(id);
    Await([this] {
      fleet_->CollectExits();
      return fleet_->running() == 0;
    });
  }
  // Waits for the fleet's news, not for time.
  void Await(const std::function<bool()>& condition) { Await(*fleet_, condition); }
  static void Await(const Fleet& fleet, const std::function<bool()>& condition) {
    const TimePoint end = Clock::now() + seconds(30);
    while (!condition() && Clock::now() < end) {
      pollfd wait{fleet.exit_descriptor(), POLLIN, 0};
      poll(&wait, 1, 5);
    }
    ASSERT_TRUE(condition());
  }
  static ReplicaLaunch Launch(std::uint64_t id, const std::string& program) {
    return {.id = id,
            .log_name = "log",
            .place_name = fmt::format("pool-{}", id),
            .command = {program, "1000"}};
  }

  TestFolder folder_;
  std::string hook_;
  std::unique_ptr<PolledFleet> fleet_;
};

TEST_F(ExecFleetTest, StartsTellsTheAddressAndStops) {
  ASSERT_TRUE(fleet_->Start(Launch(1, "sleep")));
  EXPECT_EQ(fleet_->AddressOf(1), "");
  Await([this] { return !fleet_->AddressOf(1).empty(); });
  EXPECT_TRUE(fleet_->AddressOf(1).starts_with("127.0.0.1:"));
  fleet_->Terminate(1);
  std::vector<ReplicaExit> exits;
  Await([&] {
    for (ReplicaExit& exit : fleet_->CollectExits()) exits.push_back(std::move(exit));
    return !exits.empty();
  });
  EXPECT_EQ(exits[0].id, 1u);
  EXPECT_EQ(fleet_->running(), 0u);
}

TEST_F(ExecFleetTest, FailedStartSaysWhy) {
  ASSERT_TRUE(fleet_->Start(Launch(1, "fail")));
  std::vector<ReplicaExit> exits;
  Await([&] {
    for (ReplicaExit& exit : fleet_->CollectExits()) exits.push_back(std::move(exit));
    return !exits.empty();
  });
  EXPECT_NE(exits[0].reason.find("no machine is free"), std::string::npos) << exits[0].reason;
}

TEST_F(ExecFleetTest, TheNextServerFindsItsReplicas) {
  ASSERT_TRUE(fleet_->Start(Launch(1, "sleep")));
  Await([this] { return !fleet_->AddressOf(1).empty(); });
  const std::string address = fleet_->AddressOf(1);
  Open();  // The server was killed and started again.
  const auto found = fleet_->FindRunning();
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->at(0).place_name, "pool-1");
  fleet_->Adopt(7, found->at(0));
  Await([this] { return !fleet_->AddressOf(7).empty(); });
  EXPECT_EQ(fleet_->AddressOf(7), address);
}

TEST_F(ExecFleetTest, StrangersAreDismissed) {
  ASSERT_TRUE(fleet_->Start(Launch(1, "sleep")));
  Await([this] { return !fleet_->AddressOf(1).empty(); });
  Open();
  const auto found = fleet_->FindRunning();
  fleet_->Dismiss(found->at(0));
  fleet_->Adopt(1, found->at(0));
  std::size_t exits = 0;
  Await([&] {
    exits += fleet_->CollectExits().size();
    return exits > 0;
  });
}

// A server was killed while it ordered one: it turns up when the next one has looked already.
TEST_F(ExecFleetTest, WhatTurnsUpLateIsEnded) {
  Open();
  ASSERT_TRUE(fleet_->FindRunning()->empty());
  ASSERT_TRUE(fleet_->Start(Launch(1, "sleep")));
  Await([this] { return !fleet_->AddressOf(1).empty(); });
  const auto late =
      RunCommand({hook_, "start", "abc-pool-9", "0", "0", "sleep", "1000"}, seconds(30));
  ASSERT_TRUE(late) << late.error().message;
  const std::string pid = late->substr(0, late->find('\n'));
  Await([&] { return !std::filesystem::exists("/proc/" + pid); });
  EXPECT_FALSE(fleet_->AddressOf(1).empty());  // Ours goes on.
}

TEST(HookList, LeavesOutWhatIsNotOurs) {
  const auto listed = ParseHookList(
      "7 abc-pool-0 running 10.0.0.1:8000\n8 other-pool-0 running x\ngarbage\n9 abc-pool-1 ended\n",
      "abc");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].address, "10.0.0.1:8000");
  EXPECT_TRUE(listed[1].ended);
}

TEST(Squeue, ReadsJobs) {
  const auto listed = ParseSqueue(
      "12|RUNNING|None|penstock-abc-0123456789abcdef-0\n"
      "13|PENDING|Resources|penstock-abc-0123456789abcdef-1\n"
      "14|RUNNING|None|somebody else's|job\n\n|||\n15|FAILED|NonZeroExitCode|penstock-abc-p-2\n",
      "abc");
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[0].handle, "12");
  EXPECT_EQ(listed[0].place_name, "0123456789abcdef-0");
  EXPECT_EQ(listed[1].reason, "Resources");
  EXPECT_FALSE(listed[1].ended);
  EXPECT_TRUE(listed[2].ended);
}

TEST(SlurmScript, QuotesWhatItRuns) {
  const std::string script =
      SlurmScript({.id = 1,
                   .log_name = "l",
                   .place_name = "p-0",
                   .command = {"/bin/engine", "--name=it's $HOME", "--listen=@ADDRESS@"}},
                  {.folder = "/f", .instance = "abc", .host = "127.0.0.1"}, "/f/p-0.address");
  EXPECT_NE(script.find("exec '/bin/engine' '--name=it'\\''s $HOME' '--listen='\"$address\"''"),
            std::string::npos)
      << script;
  EXPECT_NE(script.find("address=\"127.0.0.1:$((20000 + RANDOM % 20000))\""), std::string::npos)
      << script;
}

// Relays run here, whatever runs the models.
TEST_F(ExecFleetTest, WhatIsLocalRunsBesideTheServer) {
  std::filesystem::create_directory(folder_.File("logs"));
  std::filesystem::create_directory(folder_.File("run"));
  auto local = ProcessFleet::Open({.log_path = folder_.File("logs")},
                                  SocketFolder::Open(folder_.File("run")).value())
                   .value();
  const auto split = SplitFleet::Open(std::move(local), std::move(fleet_)).value();
  ReplicaLaunch here = Launch(1, "/bin/sleep");
  here.local = true;
  ASSERT_TRUE(split->Start(here));
  ASSERT_TRUE(split->Start(Launch(2, "sleep")));
  Await(*split, [&] { return split->AddressOf(2).starts_with("127.0.0.1:"); });
  EXPECT_EQ(split->AddressOf(1), split->ListenAddress("pool-1", true));
  EXPECT_EQ(split->ListenAddress("pool-2", false), kAddressPlaceholder);
  EXPECT_EQ(split->running(), 2u);
  EXPECT_TRUE(split->outlives_server());
  for (const std::uint64_t id : split->RunningIds()) split->Kill(id);
  std::vector<std::uint64_t> ended;
  Await(*split, [&] {
    for (const ReplicaExit& exit : split->CollectExits()) ended.push_back(exit.id);
    return ended.size() == 2;
  });
  EXPECT_EQ(split->running(), 0u);
  Open();  // For TearDown().
}

// One that turns up after the start, belongs to nobody, and does not end.
class StubbornBackend : public Backend {
 public:
  explicit StubbornBackend(std::atomic<int>& stops) : stops_(stops) {}
  std::string name() const override { return "stubborn"; }
  Result<std::string> Start(const ReplicaLaunch&) override { return std::string("h"); }
  Status Stop(const std::string&, bool) override {
    ++stops_;
    return Fail(Code::kUnavailable, "not now");
  }
  Result<std::vector<ListedReplica>> List() override {
    if (!std::exchange(asked_, true)) return std::vector<ListedReplica>{};
    return std::vector<ListedReplica>{
        {.handle = "ghost", .place_name = "pool-9", .address = {}, .ended = false, .reason = {}}};
  }
  std::string ReasonOf(const std::string&) override { return {}; }
  std::string TailOf(const std::string&, std::size_t) override { return {}; }

 private:
  std::atomic<int>& stops_;
  bool asked_ = false;
};

TEST(PolledFleet, AStrangerIsEndedUntilItIsGoneAndSaidOnce) {
  std::ostringstream text;
  const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text);
  Log().sinks().push_back(sink);
  std::atomic<int> stops = 0;
  {
    const auto fleet =
        PolledFleet::Open(std::make_unique<StubbornBackend>(stops), milliseconds(1)).value();
    ASSERT_TRUE(fleet->FindRunning());
    const TimePoint end = Clock::now() + seconds(30);
    while (stops < 4 && Clock::now() < end) poll(nullptr, 0, 2);
  }
  Log().sinks().pop_back();
  EXPECT_GE(stops, 4);
  const std::string said = text.str();
  const std::size_t first = said.find("ghost is nobody's");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("ghost is nobody's", first + 1), std::string::npos) << said;
  EXPECT_EQ(said.find("not now"), said.rfind("not now")) << said;
}

}  // namespace
}  // namespace penstock::fleet
