#include "io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace penstock::io {

namespace {

bool IsNumericHost(const std::string& host) {
  in6_addr bytes{};
  if (host.find('\0') != std::string::npos) return false;  // inet_pton would not look further.
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

Result<Address> ParseUnix(std::string_view path) {
  constexpr std::size_t kPathMax = sizeof(sockaddr_un{}.sun_path) - 1;
  if (path.empty() || path.size() > kPathMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("address unix:{}: the path must have 1 to {} bytes, has {}", path,
                            kPathMax, path.size()));
  }
  if (path.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "address unix:PATH: the path holds a zero byte");
  }
  return Address{.kind = Address::Kind::kUnix, .host = std::string(path)};
}

}  // namespace

Result<Address> Address::Parse(std::string_view text) {
  if (text.starts_with("unix:")) return ParseUnix(text.substr(5));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Fail(Code::kInvalidArgument,
                fmt::format("address '{}': expected HOST:PORT or unix:PATH", text));
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets, "::1:80" would be two addresses at once.
  if (bracketed != (host.find(':') != std::string_view::npos)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("address '{}': IPv6 hosts, and only they, stand in brackets", text));
  }
  const std::string_view port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || end != port_text.data() + port_text.size()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("address '{}': the port '{}' is not a number from 0 to 65535", text,
                            port_text));
  }
  Address address{.host = host == "localhost" ? "127.0.0.1" : std::string(host), .port = port};
  if (!IsNumericHost(address.host)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("address '{}': the host '{}' is not a numeric IP address", text, host));
  }
  return address;
}

std::string Address::ToString() const {
  if (kind == Kind::kUnix) return "unix:" + host;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

bool Address::IsLoopback() const {
  return kind == Kind::kUnix || host.starts_with("127.") || host == "::1";
}

Result<Address> ResolveBlocking(const std::string& host, std::uint16_t port) {
  if (host == "localhost") return Address{.host = "127.0.0.1", .port = port};
  if (IsNumericHost(host)) return Address{.host = host, .port = port};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return Fail(Code::kUnavailable,
                fmt::format("cannot resolve host '{}': {}", host, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
  std::array<char, NI_MAXHOST> text{};
  getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0,
              NI_NUMERICHOST);
  return Address{.host = text.data(), .port = port};
}

}  // namespace penstock::io
