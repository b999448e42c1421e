#include "control/background_jobs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>

#include "control/posted.h"

namespace penstock::control {
namespace {

TEST(BackgroundJobs, RunsOneAfterTheOther) {
  Posted posted;
  BackgroundJobs jobs(posted.Post());
  std::string order;
  for (const std::string name : {"a", "b", "c"}) {
    ASSERT_TRUE(jobs.Start(
        {.kind = "test",
         .subject = name,
         .work = [name](JobHandle& handle) -> Status {
           handle.Report("working", 1, 2);
           if (name == "b") return Fail(Code::kCorrupt, "b is broken");
           return {};
         },
         .on_end = [&order,
                    name](const Status& status) { order += name + (status ? "+" : "-"); }}));
  }
  posted.RunUntil([&] { return order.size() == 6; });
  EXPECT_EQ(order, "a+b-c+");
  EXPECT_EQ(jobs.Find("test", "a")->state, JobState::kDone);
  EXPECT_EQ(jobs.Find("test", "a")->done, 1);
  EXPECT_EQ(jobs.Find("test", "b")->state, JobState::kFailed);
  EXPECT_EQ(jobs.Find("test", "b")->message, "b is broken");
  EXPECT_EQ(jobs.List().front().subject, "c");
  EXPECT_FALSE(jobs.IsActive("test", "c"));
  EXPECT_FALSE(jobs.Find("test", "d"));
}

TEST(BackgroundJobs, RefusesMoreThanMayWait) {
  Posted posted;
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  BackgroundJobs jobs(posted.Post());
  const auto start = [&](const std::string& subject) {
    return jobs.Start({.kind = "test",
                       .subject = subject,
                       .work = [opened](JobHandle&) -> Status {
                         opened.wait();
                         return {};
                       },
                       .on_end = [](const Status&) {}});
  };
  ASSERT_TRUE(start("first"));
  posted.Await([&] { return jobs.Find("test", "first")->state == JobState::kRunning; });
  for (std::size_t i = 0; i < kJobsWaitingMax; ++i) ASSERT_TRUE(start(fmt::format("{}", i)));
  const auto refused = start("late");
  gate.set_value();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
}

TEST(BackgroundJobs, EndsWithItsOwner) {
  Posted posted;
  bool ended = false;
  {
    BackgroundJobs jobs(posted.Post());
    ASSERT_TRUE(jobs.Start({.kind = "test",
                            .subject = "long",
                            .work = [](JobHandle& handle) -> Status {
                              handle.stop().wait(false);
                              return Fail(Code::kCancelled, "stopped");
                            },
                            .on_end = [&ended](const Status&) { ended = true; }}));
    posted.Await([&] { return jobs.Find("test", "long")->state == JobState::kRunning; });
  }
  posted.RunAll();
  EXPECT_FALSE(ended);  // Nobody is told who is gone.
}

}  // namespace
}  // namespace penstock::control
