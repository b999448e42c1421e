#include "fleet/process_fleet.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <map>

#include "base/test_folder.h"

namespace penstock::fleet {
namespace {

class ProcessFleetTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sockets = SocketFolder::Open(folder_.path());
    ASSERT_TRUE(sockets) << sockets.error().message;
    auto fleet = ProcessFleet::Open({.log_path = folder_.path(), .log_size_max = 1000}, *sockets);
    ASSERT_TRUE(fleet);
    fleet_ = std::move(*fleet);
  }
  Status Start(std::uint64_t id, const std::string& script) {
    return fleet_->Start({.id = id,
                          .log_name = "place",
                          .place_name = "place",
                          .command = {"/bin/sh", "-c", script}});
  }
  // Until `count` replicas have ended.
  std::map<std::uint64_t, std::string> AwaitExits(std::size_t count) {
    std::map<std::uint64_t, std::string> exits;
    while (exits.size() < count) {
      pollfd ready{.fd = fleet_->exit_descriptor(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&ready, 1, -1), 1);
      for (auto& exit : fleet_->CollectExits()) {
        EXPECT_TRUE(exits.emplace(exit.id, exit.reason).second) << "told twice";
      }
    }
    return exits;
  }

  TestFolder folder_;
  std::unique_ptr<ProcessFleet> fleet_;
};

TEST_F(ProcessFleetTest, TellsEachExitOnceWithItsLastWords) {
  EXPECT_TRUE(fleet_->CollectExits().empty());
  ASSERT_TRUE(Start(1, "printf 'loading\\ncannot load \\303\\251\\n' >&2; exit 2"));
  ASSERT_TRUE(Start(2, "exec sleep 1000"));
  EXPECT_EQ(fleet_->running(), 2u);
  EXPECT_GT(fleet_->ProcessIdOf(2), 0);
  fleet_->Kill(2);
  const auto exits = AwaitExits(2);
  EXPECT_EQ(exits.at(1), "exited with status 2; it printed last: loading | cannot load ??");
  EXPECT_EQ(exits.at(2).substr(0, 29), "was killed by signal 9 (Kille");
  EXPECT_EQ(fleet_->running(), 0u);
  fleet_->Terminate(2);  // Nothing happens.
  EXPECT_TRUE(fleet_->CollectExits().empty());
}

TEST_F(ProcessFleetTest, GoodEndNeedsNoWords) {
  ASSERT_TRUE(Start(1, "echo bye; exit 0"));
  EXPECT_EQ(AwaitExits(1).at(1), "exited with status 0");
}

TEST_F(ProcessFleetTest, LastWordsAreOfThisReplicaOnly) {
  ASSERT_TRUE(Start(1, "echo first; exit 1"));
  AwaitExits(1);
  ASSERT_TRUE(Start(2, "exit 1"));
  EXPECT_EQ(AwaitExits(1).at(2), "exited with status 1");
}

TEST_F(ProcessFleetTest, RemovesTheSocketOfTheDead) {
  const std::string socket = fleet_->ListenAddress("place", false).substr(5);
  ASSERT_TRUE(Start(7, "touch " + socket));
  AwaitExits(1);
  struct stat found{};
  EXPECT_NE(stat(socket.c_str(), &found), 0);
}

TEST_F(ProcessFleetTest, FailedStartLeavesNothing) {
  const auto started = fleet_->Start(
      {.id = 1, .log_name = "place", .place_name = "place", .command = {"/no/such/engine"}});
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("/no/such/engine"), std::string::npos);
  EXPECT_EQ(fleet_->running(), 0u);
}

TEST_F(ProcessFleetTest, LogsStayWithinTheirLimit) {
  ASSERT_TRUE(Start(1, "for i in $(seq 1000); do echo line $i; done; exec sleep 1000"));
  const std::string path = folder_.File("place.log");
  struct stat found{};
  do {
    ASSERT_EQ(stat(path.c_str(), &found), 0);
  } while (found.st_size < 8893);  // All thousand lines.
  fleet_->KeepHouse();
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_size, 0);
  const auto moved = ReadSmallFile(path + ".1", 10'000);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->size(), 500u);
  EXPECT_EQ(moved->substr(moved->size() - 10), "line 1000\n");
}

TEST(ReplicaLog, TailKeepsWholeLines) {
  const TestFolder folder;
  auto log = ReplicaLog::Open(folder.File("a.log"));
  ASSERT_TRUE(log);
  EXPECT_EQ(log->Tail(100), "");
  const std::string text = "alpha\nbeta\ngamma\n";
  ASSERT_EQ(write(log->descriptor(), text.data(), text.size()), std::ssize(text));
  EXPECT_EQ(log->Tail(100), "alpha | beta | gamma");
  EXPECT_EQ(log->Tail(12), "beta | gamma");
  EXPECT_EQ(log->Tail(9), "gamma");
  EXPECT_EQ(log->Tail(4), "mma");  // Of a longer line, its end.
  const auto again = ReplicaLog::Open(folder.File("a.log"));
  EXPECT_EQ(again->Tail(100), "");
}

TEST(SocketFolder, FallsBackWhenThePathIsTooLong) {
  const TestFolder folder;
  const std::string deep = folder.File(std::string(100, 'd'));
  ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
  const auto sockets = SocketFolder::Open(deep, folder.path());
  ASSERT_TRUE(sockets) << sockets.error().message;
  EXPECT_NE(sockets->path(), deep);
  EXPECT_LE(sockets->SocketPath(std::string(SocketFolder::kNameSizeMax, 'x')).size(),
            SocketFolder::kPathSizeMax);
  struct stat found{};
  ASSERT_EQ(stat(sockets->path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  EXPECT_EQ(SocketFolder::Open(deep, folder.path())->path(), sockets->path());  // Again the same.

  ASSERT_EQ(chmod(sockets->path().c_str(), 0777), 0);
  const auto refused = SocketFolder::Open(deep, folder.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kForbidden);
  EXPECT_EQ(SocketFolder::Open(deep, deep).error().code, Code::kInvalidArgument);
}

TEST(SocketFolder, RemovesWhatAKilledServerLeft) {
  const TestFolder folder;
  folder.Write("12.sock", "");
  folder.Write("other", "");
  ASSERT_TRUE(SocketFolder::Open(folder.path()));
  EXPECT_FALSE(std::filesystem::exists(folder.File("12.sock")));
  EXPECT_TRUE(std::filesystem::exists(folder.File("other")));
}

}  // namespace
}  // namespace penstock::fleet
