#include "lib/cmdb/postgresql/options.h"

#include <libpq-fe.h>

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lib/cmdb/postgresql/schema.h"

namespace fastcontainer::postgresql {
namespace {

// A dead connection is noticed within seconds; a server is a primary; nothing asks a Kerberos server, which
// would block.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"fallback_application_name", "fastcontainer"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "5000"},
    {"gssencmode", "disable"},
    {"target_session_attrs", "read-write"},
};

absl::Status Refuse(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("postgresql: ", std::string(why)));
}

// Takes `schema=` out of the URL's parameters.
std::string WithoutOwn(std::string_view url, std::optional<std::string>* schema) {
  const size_t question = url.find('?');
  std::string rest(url.substr(0, question));
  if (question == std::string_view::npos) return rest;
  std::vector<std::string> others;
  const std::vector<std::string> parameters = absl::StrSplit(std::string(url.substr(question + 1)), '&');
  for (const std::string& parameter : parameters) {
    if (parameter.rfind("schema=", 0) == 0)
      *schema = parameter.substr(7);
    else if (!parameter.empty())
      others.push_back(parameter);
  }
  if (!others.empty()) absl::StrAppend(&rest, "?", absl::StrJoin(others, "&"));
  return rest;
}

// libpq quotes what it cannot read.
absl::Status ParseError(std::string_view url, const char* error) {
  std::string why = error == nullptr ? "" : error;
  while (!why.empty() && why.back() == '\n') why.pop_back();
  const bool secret =
      url.find('@') != std::string_view::npos || url.find("password") != std::string_view::npos;
  return Refuse(absl::StrCat("libpq cannot read the URL",
                             secret ? " (it is not shown: it may have a password)" : ": ",
                             secret ? "" : why));
}

std::string Part(const Options::Keywords& all, const char* keyword, size_t index, size_t count) {
  const auto found = all.find(keyword);
  if (found == all.end()) return "";
  const std::vector<std::string> parts = absl::StrSplit(found->second, ',');
  if (parts.size() == count) return parts[index];
  return parts.size() == 1 ? parts[0] : "";
}

// What libpq would take from PGHOST, or from the file of PGSERVICE. It would look names up itself, and wait.
void AddHostOfEnvironment(Options::Keywords* all) {
  if (all->count("host") + all->count("hostaddr") + all->count("service") > 0) return;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> defaults(PQconndefaults(),
                                                                              &PQconninfoFree);
  if (defaults == nullptr) return;
  for (const PQconninfoOption* option = defaults.get(); option->keyword != nullptr; ++option) {
    const std::string_view keyword = option->keyword;
    const bool wanted = keyword == "host" || keyword == "hostaddr" || keyword == "port";
    if (wanted && option->val != nullptr && *option->val != '\0') all->emplace(keyword, option->val);
  }
}

size_t CountParts(const Options::Keywords& all, const char* keyword) {
  const auto found = all.find(keyword);
  if (found == all.end()) return 1;
  const std::vector<std::string> parts = absl::StrSplit(found->second, ',');
  return parts.size();
}

absl::StatusOr<std::vector<Options::Keywords>> SplitHosts(const Options::Keywords& all) {
  const size_t count = std::max(CountParts(all, "host"), CountParts(all, "hostaddr"));
  const size_t ports = CountParts(all, "port");
  if (ports != 1 && ports != count) return Refuse(absl::StrCat(ports, " ports for ", count, " hosts"));
  std::vector<Options::Keywords> hosts;
  for (size_t i = 0; i < count; ++i) {
    Options::Keywords& one = hosts.emplace_back(all);
    for (const char* keyword : {"host", "hostaddr", "port"}) {
      one.erase(keyword);
      if (std::string part = Part(all, keyword, i, count); !part.empty()) one[keyword] = std::move(part);
    }
  }
  return hosts;
}

}  // namespace

absl::StatusOr<Options> ParseUrl(std::string_view url) {
  Options options;
  std::optional<std::string> schema;
  const std::string rest = WithoutOwn(url, &schema);
  if (schema.has_value() && !IsSchemaName(*schema)) {
    return Refuse(
        absl::StrCat("schema=", *schema,
                     ": accepted are small letters, digits and _, not first a digit nor pg_, at most 48"));
  }
  if (schema.has_value()) options.schema = *schema;
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(rest.c_str(), &error), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> error_holder(error, &PQfreemem);
  if (parsed == nullptr || rest.find('\0') != std::string::npos) return ParseError(rest, error);
  Options::Keywords all;
  for (const auto& [keyword, value] : kDefaults) all[keyword] = value;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option)
    if (option->val != nullptr) all[option->keyword] = option->val;
  AddHostOfEnvironment(&all);
  absl::StatusOr<std::vector<Options::Keywords>> hosts = SplitHosts(all);
  if (!hosts.ok()) return hosts.status();
  options.hosts = *std::move(hosts);
  return options;
}

}  // namespace fastcontainer::postgresql
