// URLs: what they mean, what is refused, and that they survive being written and read again.
#include "http/url.h"

#include <gtest/gtest.h>

#include "http/origin.h"

namespace penstock::http {
namespace {

TEST(Url, TellsItsParts) {
  const auto url = Url::Parse("http://LocalHost:8080/v1/models?x=1&y");
  ASSERT_TRUE(url);
  EXPECT_EQ(*url, (Url{.scheme = Url::Scheme::kHttp,
                       .host = "localhost",
                       .port = 8080,
                       .path = "/v1/models",
                       .query = "x=1&y"}));
  EXPECT_EQ(url->Target(), "/v1/models?x=1&y");
  EXPECT_EQ(url->HostField(), "localhost:8080");
  EXPECT_EQ(Url::Parse("https://a.b")->port, 443);
  EXPECT_EQ(Url::Parse("HTTPS://a.b")->HostField(), "a.b");
  EXPECT_EQ(Url::Parse("http://a?q")->Target(), "/?q");
  EXPECT_EQ(Url::Parse("http://[::1]:81/")->host, "::1");
  EXPECT_EQ(Url::Parse("http://[::1]:81/")->HostField(), "[::1]:81");
  EXPECT_EQ(Url::Parse("http://[::1]")->port, 80);
  EXPECT_EQ(Url::Parse("unix:/run/x.sock")->host, "/run/x.sock");
  EXPECT_EQ(Url::Parse("unix:/run/x.sock")->path, "/");
  EXPECT_EQ(Url::Parse("unix:/run/x.sock:/v1?a")->Target(), "/v1?a");
}

TEST(Url, SurvivesBeingWrittenAndRead) {
  for (const char* text : {"http://localhost:8080/v1/models?x=1", "https://a.b/",
                           "http://[::1]:81/", "unix:/run/x.sock:/", "unix:/run/x.sock:/v1?a"}) {
    EXPECT_EQ(Url::Parse(text)->ToString(), text);
  }
}

TEST(Url, RefusesWhatItCannotMean) {
  for (const char* text : {"",
                           "localhost:8080",
                           "/path",
                           "ftp://a/",
                           "http://",
                           "http:///x",
                           "http://a:0/",
                           "http://a:65536/",
                           "http://a:x/",
                           "http://a:/",
                           "http://u:p@a/",
                           "http://a/#f",
                           "http://a/ b",
                           "http://a/\xc3\xa4",
                           "http://[::1",
                           "http://[::1]x/",
                           "unix:run/x",
                           "unix:",
                           "unix:/run/x:v1",
                           "http://a\r\nb/"}) {
    const auto url = Url::Parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::kInvalidArgument);
  }
}

TEST(Url, CodesPercents) {
  EXPECT_EQ(PercentDecode("a%20b%2Fc%c3%A4"), "a b/c\xc3\xa4");
  EXPECT_EQ(PercentEncode("a b/c\xc3\xa4-._~"), "a%20b%2Fc%C3%A4-._~");
  for (const char* text : {"%", "%2", "a%", "a%g0", "%0g", "%00"}) {
    EXPECT_FALSE(PercentDecode(text)) << text;
  }
}

TEST(Url, FindsQueryValues) {
  EXPECT_EQ(QueryValue("a=1&b=x%20y+z&c", "b"), "x y z");
  EXPECT_EQ(QueryValue("a=1&b=2", "a"), "1");
  EXPECT_EQ(QueryValue("a=1&c", "c"), "");
  EXPECT_EQ(QueryValue("aa=1", "a"), std::nullopt);
  EXPECT_EQ(QueryValue("a=%", "a"), std::nullopt);
  EXPECT_EQ(QueryValue("", "a"), std::nullopt);
  EXPECT_EQ(QueryValue("%61=1", "a"), "1");
}

TEST(Origin, KnowsWhereToConnect) {
  const auto origin = Origin::From(*Url::Parse("http://localhost:81/x"));
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->address.ToString(), "127.0.0.1:81");
  EXPECT_EQ(origin->host, "localhost:81");
  EXPECT_EQ(Origin::From(*Url::Parse("http://[::1]:81/x"))->address.ToString(), "[::1]:81");
  EXPECT_EQ(Origin::From(*Url::Parse("unix:/x.sock"))->address.ToString(), "unix:/x.sock");
  EXPECT_EQ(Origin::From(*Url::Parse("https://127.0.0.1"))->connect.tls_server_name, "127.0.0.1");
  EXPECT_FALSE(Origin::From(*Url::Parse("http://some.name/")));
}

}  // namespace
}  // namespace penstock::http
