#include "fleet/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

// glibc 2.36 forgot to say that these are C functions.
extern "C" {
#include <sys/pidfd.h>
}

#include "base/test_folder.h"

namespace penstock::fleet {
namespace {

class ProcessTest : public testing::Test {
 protected:
  Result<Process> Shell(const std::string& script) {
    return Process::Start({.command = {"/bin/sh", "-c", script}, .output = output_.get()});
  }
  static ProcessExit Await(Process& process) {
    pollfd ended{.fd = process.exit_descriptor(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&ended, 1, -1), 1);
    const auto exit = process.TryWait();
    EXPECT_TRUE(exit.has_value());
    return exit.value_or(ProcessExit{});
  }
  std::string Output() const { return ReadSmallFile(folder_.File("output"), 100'000).value(); }

  TestFolder folder_;
  Descriptor output_{open(folder_.File("output").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)};
};

TEST_F(ProcessTest, TellsStatusAndOutput) {
  auto process = Shell("echo out; echo err >&2; cat; exit 7");
  ASSERT_TRUE(process) << process.error().message;
  const ProcessExit exit = Await(*process);
  EXPECT_EQ(exit.ToString(), "exited with status 7");
  EXPECT_EQ(process->TryWait()->number, 7);  // Again.
  EXPECT_EQ(Output(), "out\nerr\n");
}

TEST_F(ProcessTest, TerminateAndKillAreToldApart) {
  auto polite = Shell("echo ready; exec sleep 1000");
  ASSERT_TRUE(polite);
  EXPECT_FALSE(polite->TryWait());
  polite->Terminate();
  EXPECT_EQ(Await(*polite).ToString(), "was killed by signal 15 (Terminated)");
  polite->Terminate();  // Nothing happens.

  auto stubborn = Shell("exec sleep 1000");
  ASSERT_TRUE(stubborn);
  stubborn->Kill();
  EXPECT_EQ(Await(*stubborn).number, SIGKILL);
}

TEST_F(ProcessTest, SaysWhyAProgramDoesNotRun) {
  const auto missing = Process::Start({.command = {"/no/such/program"}, .output = output_.get()});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kInvalidArgument);
  EXPECT_NE(missing.error().message.find("/no/such/program"), std::string::npos);
  const std::string file = folder_.Write("data", "not a program");
  EXPECT_EQ(Process::Start({.command = {file}, .output = output_.get()}).error().code,
            Code::kForbidden);
}

// The child must not see our descriptors, signal mask, ignored signals, or process group.
TEST_F(ProcessTest, ChildStartsClean) {
  const Descriptor leak(open("/dev/null", O_RDONLY));  // Without close-on-exec.
  const auto before = signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  auto signals =
      Process::Start({.command = {"/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"},
                      .output = output_.get()});
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  signal(SIGPIPE, before);
  ASSERT_TRUE(signals);
  Await(*signals);
  ASSERT_LT(leak.get(), 10);
  auto process = Shell(
      "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo descriptor $n; done; "
      "echo group $(cut -d' ' -f5 /proc/$$/stat).");
  ASSERT_TRUE(process);
  Await(*process);
  EXPECT_EQ(Output(), fmt::format("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                  "descriptor 0\ndescriptor 1\ndescriptor 2\ngroup {}.\n",
                                  process->pid()));
}

TEST_F(ProcessTest, DestructorLeavesNothingBehind) {
  pid_t pid = 0;
  {
    auto process = Shell("exec sleep 1000");
    ASSERT_TRUE(process);
    pid = process->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

// kill -9 of the server takes its replicas along.
TEST_F(ProcessTest, DiesWithItsParent) {
  std::array<int, 2> channel{};
  ASSERT_EQ(pipe(channel.data()), 0);
  const pid_t server = fork();
  if (server == 0) {
    auto process = Shell("exec sleep 1000");
    const pid_t pid = process ? process->pid() : 0;
    if (write(channel[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    for (;;) pause();
  }
  pid_t replica = 0;
  ASSERT_EQ(read(channel[0], &replica, sizeof replica), static_cast<ssize_t>(sizeof replica));
  ASSERT_GT(replica, 0);
  const Descriptor watch(pidfd_open(replica, 0));
  ASSERT_TRUE(watch);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  pollfd ended{.fd = watch.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1) << "the replica outlived its server";
  close(channel[0]);
  close(channel[1]);
}

// Starting works while other threads allocate and open files.
TEST_F(ProcessTest, StartsAmongBusyThreads) {
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) {
        const std::string garbage(5000, 'x');
        const Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(garbage.size(), 5000u);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    auto process = Process::Start({.command = {"/bin/true"}, .output = output_.get()});
    ASSERT_TRUE(process) << process.error().message;
    EXPECT_EQ(Await(*process).number, 0);
  }
  stop = true;
}

}  // namespace
}  // namespace penstock::fleet
