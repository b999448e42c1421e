// The rules against ambiguous heads.
#include "http/head_rules.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "http/characters.h"
#include "http/quote.h"

namespace penstock::http {

namespace {

std::unexpected<Error> Refuse(const char* field, std::string why) {
  return Fail(Code::kInvalidArgument, std::string(field) + ": " + std::move(why), field);
}

// What the fields that frame a message say, each seen at most once.
struct Framing {
  std::optional<std::string_view> content_length;
  std::optional<std::string_view> transfer_encoding;
  std::optional<std::string_view> host;
  std::optional<std::string_view> expect;
  bool close = false;
  bool keep_alive = false;
};

Status TakeOnce(const char* name, std::string_view value, std::optional<std::string_view>& into) {
  if (into) return Refuse(name, "more than one field of this name");
  into = value;
  return {};
}

Status Gather(const Fields& fields, Framing& framing) {
  for (const Field& field : fields) {
    // The length decides for nearly all fields without a comparison.
    switch (field.name.size()) {
      case 4:
        if (EqualsIgnoreCase(field.name, "host")) {
          if (auto s = TakeOnce("host", field.value, framing.host); !s) return s;
        }
        break;
      case 6:
        if (EqualsIgnoreCase(field.name, "expect")) {
          if (auto s = TakeOnce("expect", field.value, framing.expect); !s) return s;
        }
        break;
      case 10:
        if (EqualsIgnoreCase(field.name, "connection")) {
          framing.close |= ListContains(field.value, "close");
          framing.keep_alive |= ListContains(field.value, "keep-alive");
        }
        break;
      case 14:
        if (EqualsIgnoreCase(field.name, "content-length")) {
          if (auto s = TakeOnce("content-length", field.value, framing.content_length); !s) {
            return s;
          }
        }
        break;
      case 17:
        if (EqualsIgnoreCase(field.name, "transfer-encoding")) {
          if (auto s = TakeOnce("transfer-encoding", field.value, framing.transfer_encoding); !s) {
            return s;
          }
        }
        break;
      default:
        break;
    }
  }
  return {};
}

Status ParseLength(std::string_view text, std::uint64_t& length) {
  const bool digits = !text.empty() && std::ranges::all_of(text, IsDigit);
  if (!digits) return Refuse("content-length", Quote(text) + " is not one decimal number");
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
  constexpr auto kMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (parsed.ec != std::errc() || length > kMax) {
    return Refuse("content-length", Quote(text) + " is over " + std::to_string(kMax));
  }
  return {};
}

// `body` stays as it is where no field frames the message.
Status DeduceBody(const Framing& framing, int minor_version, BodyKind& body,
                  std::uint64_t& content_length) {
  if (framing.transfer_encoding) {
    const std::string_view coding = *framing.transfer_encoding;
    if (framing.content_length) {
      return Refuse("transfer-encoding", "together with content-length it is ambiguous");
    }
    if (minor_version == 0) return Refuse("transfer-encoding", "HTTP/1.0 does not know it");
    if (!EqualsIgnoreCase(coding, "chunked")) {
      return Refuse("transfer-encoding", Quote(coding) + " is not \"chunked\"");
    }
    body = BodyKind::kChunked;
    return {};
  }
  if (!framing.content_length) return {};
  if (auto status = ParseLength(*framing.content_length, content_length); !status) return status;
  body = content_length > 0 ? BodyKind::kLength : BodyKind::kNone;
  return {};
}

bool KeepsAlive(const Framing& framing, int minor_version) {
  return !framing.close && (minor_version >= 1 || framing.keep_alive);
}

Status CheckHost(std::string_view host) {
  if (!std::ranges::all_of(host, IsHost)) {
    return Refuse("host", Quote(host) + " is not a host and port");
  }
  return {};
}

// http://host/path: the form that proxies get.
Status SplitAbsolute(const Framing& framing, RequestHead& head) {
  const std::size_t scheme_end = head.target.find("://");
  const std::string_view scheme = head.target.substr(0, scheme_end);
  if (!EqualsIgnoreCase(scheme, "http") && !EqualsIgnoreCase(scheme, "https")) {
    return Refuse("target", Quote(head.target) + " is neither a path nor an http URL");
  }
  const std::string_view rest = head.target.substr(scheme_end + 3);
  const std::size_t path = rest.find_first_of("/?");
  head.host = rest.substr(0, path);
  if (head.host.empty()) return Refuse("target", Quote(head.target) + " names no host");
  if (auto status = CheckHost(head.host); !status) return status;
  if (framing.host && !EqualsIgnoreCase(*framing.host, head.host)) {
    return Refuse("host",
                  Quote(*framing.host) + " differs from the target's host " + Quote(head.host));
  }
  head.path = path == std::string_view::npos ? std::string_view() : rest.substr(path);
  return {};
}

// Splits the target into host, path and query.
Status SplitTarget(const Framing& framing, RequestHead& head) {
  if (!std::ranges::all_of(head.target, IsTarget)) {
    return Refuse("target", Quote(head.target) + " holds a character that must be encoded");
  }
  head.host = framing.host.value_or("");
  head.query = {};
  if (head.target == "*" && head.method == "OPTIONS") {
    head.path = head.target;
    return {};
  }
  if (head.target.starts_with('/')) {
    head.path = head.target;
  } else if (head.target.find("://") != std::string_view::npos) {
    if (auto status = SplitAbsolute(framing, head); !status) return status;
  } else {
    return Refuse("target", Quote(head.target) + " is neither a path nor an http URL");
  }
  const std::size_t mark = head.path.find('?');
  if (mark != std::string_view::npos) {
    head.query = head.path.substr(mark + 1);
    head.path = head.path.substr(0, mark);
  }
  if (head.path.empty()) head.path = "/";
  return {};
}

}  // namespace

Status ApplyRequestRules(const HeadLimits& limits, RequestHead& head) {
  if (head.target.size() > limits.target_bytes_max) {
    return Fail(Code::kHeadTooLarge,
                "target: " + std::to_string(head.target.size()) + " bytes, the limit is " +
                    std::to_string(limits.target_bytes_max),
                "target");
  }
  if (head.method == "CONNECT") {
    return Fail(Code::kUnsupported, "method: CONNECT is not served", "method");
  }
  Framing framing;
  if (auto status = Gather(head.fields, framing); !status) return status;
  if (!framing.host && head.minor_version >= 1) {
    return Refuse("host", "HTTP/1.1 requires this field");
  }
  if (framing.host) {
    if (auto status = CheckHost(*framing.host); !status) return status;
  }
  if (auto status = SplitTarget(framing, head); !status) return status;
  head.body = BodyKind::kNone;
  head.content_length = 0;
  if (auto status = DeduceBody(framing, head.minor_version, head.body, head.content_length);
      !status) {
    return status;
  }
  head.keep_alive = KeepsAlive(framing, head.minor_version);
  head.expect_continue = false;
  if (framing.expect && head.minor_version >= 1) {
    if (!EqualsIgnoreCase(*framing.expect, "100-continue")) {
      return Refuse("expect", Quote(*framing.expect) + " is not \"100-continue\"");
    }
    head.expect_continue = head.body != BodyKind::kNone;
  }
  return {};
}

Status ApplyResponseRules(std::string_view method, ResponseHead& head) {
  Framing framing;
  head.body = BodyKind::kUntilClose;
  head.content_length = 0;
  Status status = Gather(head.fields, framing);
  if (status) {
    status = DeduceBody(framing, head.minor_version, head.body, head.content_length);
  }
  if (!status) {
    status.error().code = Code::kUpstream;
    status.error().message.insert(0, "response ");
    return status;
  }
  head.keep_alive = KeepsAlive(framing, head.minor_version);
  const bool bodiless = head.status < 200 || head.status == 204;
  if (bodiless && head.body != BodyKind::kUntilClose && head.body != BodyKind::kNone) {
    head.keep_alive = false;  // It announces a body that it may not have: trust ends here.
  }
  if (bodiless || head.status == 304 || method == "HEAD") head.body = BodyKind::kNone;
  if (head.body == BodyKind::kUntilClose) head.keep_alive = false;
  return {};
}

}  // namespace penstock::http
