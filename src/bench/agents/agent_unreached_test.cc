#include "bench/agents/agent_unreached.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http_testing.h"

namespace penstock::bench {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

AgentAttempt Far() {
  return {.name = "gpu7:9700",
          .address = http::testing::Must(io::Address::Parse("10.0.0.7:9700")),
          .tls = true,
          .with_key = true};
}

AgentAttempt Near() {
  return {.name = "127.0.0.1:9700",
          .address = http::testing::Must(io::Address::Parse("127.0.0.1:9700"))};
}

TEST(AgentUnreached, OneThatWasNotStartedTellsHow) {
  const Error refused{
      Code::kUnavailable, "cannot connect to 10.0.0.7:9700: Connection refused", {}};
  const Error far = Unreached(Far(), refused);
  EXPECT_EQ(far.message,
            "agent gpu7:9700: cannot connect to 10.0.0.7:9700: Connection refused; start `penstock "
            "bench agent --listen 0.0.0.0:9700` there, with the same PENSTOCK_AGENT_KEY as here");
  EXPECT_EQ(far.field, "agents");
  EXPECT_EQ(far.code, Code::kUnavailable);
  const Error near = Unreached(
      Near(), {Code::kUnavailable, "cannot connect to 127.0.0.1:9700: Connection refused", {}});
  EXPECT_THAT(near.message, AllOf(HasSubstr("start `penstock bench agent --listen 127.0.0.1:9700`"),
                                  Not(HasSubstr("there")), Not(HasSubstr("KEY"))));
}

TEST(AgentUnreached, SilenceIsAFirewallsOrNobodys) {
  for (const char* why : {"cannot connect to 10.0.0.7:9700: the deadline passed",
                          "cannot connect to 10.0.0.7:9700: Connection timed out",
                          "cannot connect to 10.0.0.7:9700: No route to host"}) {
    const Code code = std::string_view(why).ends_with("passed") ? Code::kDeadline : Code::kInternal;
    EXPECT_THAT(Unreached(Far(), {code, why, {}}).message,
                AllOf(HasSubstr("let firewalls between here and there pass TCP port 9700"),
                      HasSubstr("--listen 0.0.0.0:9700")));
  }
}

TEST(AgentUnreached, AnotherKeyIsToldAsOne) {
  EXPECT_THAT(Unreached(Near(), {Code::kUnauthenticated, "the agent wants its key", {}}).message,
              HasSubstr("give the key that the agent was started with: PENSTOCK_AGENT_KEY"));
  const Error foreign{
      Code::kUpstream, "cannot connect to 10.0.0.7:9700: write: self-signed certificate", {}};
  EXPECT_THAT(Unreached(Far(), foreign).message,
              AllOf(HasSubstr("self-signed certificate; its certificate is not"),
                    HasSubstr("give both sides the same PENSTOCK_AGENT_KEY")));
}

TEST(AgentUnreached, OneSideAloneEncrypts) {
  AgentAttempt near = Near();
  EXPECT_THAT(
      Unreached(near, {Code::kClosed, "response: the server closed the connection", {}}).message,
      HasSubstr("give --agent-tls if the agent has it"));
  near.tls = true;
  EXPECT_THAT(Unreached(near, {Code::kInternal,
                               "cannot connect to 127.0.0.1:9700: write: wrong version number",
                               {}})
                  .message,
              HasSubstr("leave --agent-tls out here"));
}

TEST(AgentUnreached, AnotherServersPageIsNotRepeated) {
  AgentAttempt far = Far();
  for (const Code code : {Code::kNotFound, Code::kMethodNotAllowed, Code::kUpstream}) {
    EXPECT_THAT(Unreached(far, {code, "<!DOCTYPE HTML> <html lang=\"en\">", {}}).message,
                AllOf(HasSubstr("agent gpu7:9700 (10.0.0.7:9700): what answers is no agent"),
                      Not(HasSubstr("<"))));
  }
}

}  // namespace
}  // namespace penstock::bench
