// Addresses: what is read, what is refused, and that text comes back.
#include "io/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::io {
namespace {

using ::testing::HasSubstr;

TEST(Address, ReadsWhatItWrites) {
  for (const std::string text : {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535", "[fe80::1:2]:80",
                                 "unix:/run/x.sock", "unix:relative"}) {
    const Result<Address> address = Address::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ToString(), text);
    EXPECT_EQ(Address::Parse(address->ToString()), *address);
  }
}

TEST(Address, LocalhostMeansLoopback) {
  EXPECT_EQ(Address::Parse("localhost:80")->ToString(), "127.0.0.1:80");
}

TEST(Address, RefusesWhatItCannotMean) {
  for (const std::string text : {"",
                                 ":",
                                 "80",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:65536",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:+1",
                                 "127.0.0.1: 1",
                                 "127.0.0.1:1 ",
                                 "127.0.0.1:0x1",
                                 "example.org:80",
                                 "[127.0.0.1]:80",
                                 "::1:80",
                                 "[::1:80",
                                 "::1]:80",
                                 "[]:80",
                                 "1.2.3:80",
                                 "1.2.3.4.5:80",
                                 "unix:"}) {
    const Result<Address> address = Address::Parse(text);
    EXPECT_FALSE(address) << text;
    if (!address) EXPECT_EQ(address.error().code, Code::kInvalidArgument);
  }
}

TEST(Address, RefusesHiddenZeroBytes) {
  EXPECT_FALSE(Address::Parse(std::string("127.0.0.1\0.evil:80", 19)));
  EXPECT_FALSE(Address::Parse(std::string("unix:/run/x\0y", 13)));
}

TEST(Address, AUnixPathHasALimitThatTheMessageNames) {
  EXPECT_TRUE(Address::Parse("unix:" + std::string(107, 'x')));
  const Result<Address> address = Address::Parse("unix:" + std::string(108, 'x'));
  ASSERT_FALSE(address);
  EXPECT_THAT(address.error().message, HasSubstr("1 to 107 bytes, has 108"));
}

TEST(Address, KnowsWhatStaysOnThisMachine) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/x"}) {
    EXPECT_TRUE(Address::Parse(text)->IsLoopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "128.0.0.1:1", "[::]:1", "[::2]:1"}) {
    EXPECT_FALSE(Address::Parse(text)->IsLoopback()) << text;
  }
}

TEST(Address, ResolvesNumericHostsWithoutAsking) {
  EXPECT_EQ(ResolveBlocking("::1", 5)->ToString(), "[::1]:5");
  EXPECT_EQ(ResolveBlocking("localhost", 5)->ToString(), "127.0.0.1:5");
  const Result<Address> unknown = ResolveBlocking("no-such-host.invalid", 5);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kUnavailable);
  EXPECT_THAT(unknown.error().message, HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace penstock::io
