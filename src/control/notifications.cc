#include "control/notifications.h"

#include <algorithm>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

constexpr const char* kField = "email_notifications";

bool IsListOfTexts(const boost::json::array& list) {
  return list.size() <= kRecipientsMax && std::ranges::all_of(list, [](const auto& recipient) {
           return recipient.is_string() && !recipient.get_string().empty();
         });
}

}  // namespace

std::string ReadNotifications(const boost::json::object& body, std::optional<Error>& failure) {
  JsonReader reader(body, "", failure);
  const auto* mails = reader.Object(kField);
  if (mails == nullptr) return {};
  JsonReader inner(*mails, std::string(kField) + ".", failure);
  for (const char* kind : {"on_update_success", "on_update_failure"}) {
    const auto* list = inner.Array(kind);
    if (list == nullptr || IsListOfTexts(*list)) continue;
    inner.Refuse(kind, "a list of at most 100 addresses", *list);
  }
  return boost::json::serialize(boost::json::object{{kField, *mails}});
}

boost::json::value NotificationsJson(const std::string& kept) {
  if (kept.empty()) return nullptr;
  const auto object = ParseJsonObject(kept);
  const auto* mails = object ? object->if_contains(kField) : nullptr;
  return mails == nullptr ? boost::json::value() : *mails;
}

}  // namespace penstock::control
