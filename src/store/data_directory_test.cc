#include "store/data_directory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/test_folder.h"

namespace penstock::store {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat found{};
  EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

TEST(DataDirectory, IsMadePrivateWithItsFolders) {
  const TestFolder folder;
  const auto data = DataDirectory::Open(folder.File("deep/data/"));
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->path(), folder.File("deep/data"));
  EXPECT_EQ(ModeOf(data->path()), 0700u);
  EXPECT_EQ(ModeOf(data->run_path()), 0700u);
  EXPECT_EQ(ModeOf(data->log_path()), 0700u);
}

TEST(DataDirectory, InUseNamesTheHolder) {
  const TestFolder folder;
  const auto first = DataDirectory::Open(folder.path());
  ASSERT_TRUE(first);
  const auto second = DataDirectory::Open(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_NE(second.error().message.find(folder.path()), std::string::npos);
  EXPECT_NE(second.error().message.find("process " + std::to_string(getpid())), std::string::npos)
      << second.error().message;
}

TEST(DataDirectory, IsFreeAgainWhenClosed) {
  const TestFolder folder;
  {
    ASSERT_TRUE(DataDirectory::Open(folder.path()));
  }
  EXPECT_TRUE(DataDirectory::Open(folder.path()));
}

// The lock belongs to the process: nothing stale is left by kill -9.
TEST(DataDirectory, IsFreeAgainWhenItsHolderIsKilled) {
  const TestFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto data = DataDirectory::Open(folder.path());
    const char byte = data ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const auto refused = DataDirectory::Open(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("process " + std::to_string(child)), std::string::npos);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(DataDirectory::Open(folder.path()));
  close(ready[0]);
  close(ready[1]);
}

TEST(DataDirectory, RefusesAFile) {
  const TestFolder folder;
  const std::string file = folder.Write("file", "x");
  const auto data = DataDirectory::Open(file);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, Code::kInvalidArgument);
  EXPECT_NE(data.error().message.find(file), std::string::npos);
  EXPECT_FALSE(DataDirectory::Open(file + "/below"));
  EXPECT_EQ(DataDirectory::Open("").error().field, "data");
}

// Runs in a child without root's rights, for which every directory is writable.
TEST(DataDirectory, RefusesWhatIsNotWritable) {
  const TestFolder folder;
  const std::string path = folder.File("locked");
  ASSERT_EQ(mkdir(path.c_str(), 0555), 0);
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  const pid_t child = fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (getuid() == 0 && setuid(kNobody) != 0) _exit(3);
    const auto data = DataDirectory::Open(path);
    if (data) _exit(4);
    const bool named = data.error().message.find(path) != std::string::npos;
    _exit(data.error().code == Code::kForbidden && named ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace penstock::store
