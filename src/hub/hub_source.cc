#include "hub/hub_source.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::hub {
namespace {

constexpr std::string_view kPrefix = "hf:";
constexpr std::size_t kPartMax = 200;

bool IsPlain(std::string_view text, bool slashes) {
  const bool characters = std::ranges::all_of(text, [slashes](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || (slashes && c == '/');
  });
  return characters && !text.empty() && text.size() <= kPartMax && text.front() != '.' &&
         text.front() != '/' && text.back() != '/' && text.find("..") == std::string_view::npos &&
         text.find("//") == std::string_view::npos && text.find("/.") == std::string_view::npos;
}

}  // namespace

bool IsHubSource(std::string_view text) { return text.starts_with(kPrefix); }

Result<HubSource> ParseHubSource(std::string_view text, const std::string& field) {
  HubSource source;
  std::string_view rest = text;
  if (rest.starts_with(kPrefix)) rest.remove_prefix(kPrefix.size());
  bool good = true;
  if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    source.file = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    good = IsPlain(source.file, true);
  }
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    source.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    good = good && IsPlain(source.revision, true);
  }
  source.repository = rest;
  const auto slash = rest.find('/');
  good = good && slash != std::string_view::npos && IsPlain(rest.substr(0, slash), false) &&
         IsPlain(rest.substr(slash + 1), false);
  if (good) return source;
  std::string shown(text.substr(0, 120));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be hf:ORG/NAME[@REVISION][:FILE], got \"{}\"", field, shown),
              field);
}

}  // namespace penstock::hub
