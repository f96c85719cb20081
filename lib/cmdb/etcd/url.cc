#include "lib/cmdb/etcd/url.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace fastcontainer::etcd {
namespace {

constexpr uint16_t kDefaultPort = 2379;
constexpr const char* kAccepted =
    "accepted is etcd://HOST:PORT,HOST:PORT/?ca=/FILE&cert=/FILE&key=/FILE&user=NAME&password_file=/FILE "
    "(etcds:// or ca, cert, key: by TLS; the port is 2379 if left out)";

// The URL itself is not repeated: somebody may have put a password into it.
absl::Status Refuse(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("etcd: ", std::string(why), "; ", kAccepted));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return Refuse("a malformed percent escape");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  Endpoint endpoint;
  endpoint.port = kDefaultPort;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Refuse("an address without its \"]\"");
    endpoint.host = std::string(text.substr(1, end - 1));
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':')
      return Refuse("an address followed by something else than a port");
  } else {
    const size_t colon = text.find(':');
    endpoint.host = std::string(text.substr(0, colon));
    port = colon == std::string_view::npos ? "" : text.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) return Refuse("an IPv6 address stands in brackets");
  }
  if (endpoint.host.empty()) return Refuse("an endpoint without a host");
  if (port.empty()) return endpoint;
  uint32_t number = 0;
  if (!absl::SimpleAtoi(std::string(port.substr(1)), &number) || number == 0 || number > 65'535)
    return Refuse("an endpoint whose port is not a number from 1 to 65535");
  endpoint.port = static_cast<uint16_t>(number);
  return endpoint;
}

absl::Status SetOption(std::string_view name, std::string value, Options* options) {
  if (name == "password")
    return Refuse("a password in a URL is seen by everybody who can list processes: name a password_file");
  std::string* slot = name == "ca"              ? &options->ca
                      : name == "cert"          ? &options->cert
                      : name == "key"           ? &options->key
                      : name == "user"          ? &options->user
                      : name == "password_file" ? &options->password_file
                                                : nullptr;
  if (slot == nullptr) return Refuse(absl::StrCat("the option \"", std::string(name), "\" is not known"));
  if (value.empty()) return Refuse(absl::StrCat("the option \"", std::string(name), "\" is empty"));
  if (name != "user" && value.front() != '/')
    return Refuse(absl::StrCat("\"", std::string(name), "\" is not an absolute path"));
  *slot = std::move(value);
  return absl::OkStatus();
}

absl::Status ParseQuery(std::string_view query, Options* options) {
  for (size_t at = 0; at < query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string_view pair = query.substr(at, end - at);
    at = end + 1;
    const size_t equal = pair.find('=');
    if (equal == std::string_view::npos) return Refuse("an option without \"=\"");
    absl::StatusOr<std::string> value = PercentDecode(pair.substr(equal + 1));
    if (!value.ok()) return value.status();
    const absl::Status set = SetOption(pair.substr(0, equal), *std::move(value), options);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const Options& options) {
  if (options.cert.empty() != options.key.empty()) return Refuse("cert and key belong together");
  if (options.user.empty() != options.password_file.empty())
    return Refuse("user and password_file belong together");
  return absl::OkStatus();
}

}  // namespace

std::string Endpoint::ToString() const {
  if (host.find(':') != std::string::npos) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host, ":", port);
}

absl::StatusOr<Options> ParseUrl(std::string_view url) {
  Options options;
  options.tls = url.starts_with("etcds://");
  if (!options.tls && !url.starts_with("etcd://")) return Refuse("no etcd:// or etcds:// at the beginning");
  std::string_view rest = url.substr(url.find("//") + 2);
  const size_t question = rest.find('?');
  const std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  rest = rest.substr(0, question);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != std::string_view::npos) return Refuse("user and password are options");
  if (rest.find('/') != std::string_view::npos) return Refuse("a path behind the endpoints");
  for (size_t at = 0; at <= rest.size();) {
    const size_t end = std::min(rest.find(',', at), rest.size());
    absl::StatusOr<Endpoint> endpoint = ParseEndpoint(rest.substr(at, end - at));
    if (!endpoint.ok()) return endpoint.status();
    options.endpoints.push_back(*std::move(endpoint));
    at = end + 1;
  }
  absl::Status status = ParseQuery(query, &options);
  if (status.ok()) status = CheckTogether(options);
  if (!status.ok()) return status;
  options.tls = options.tls || !options.ca.empty() || !options.cert.empty();
  return options;
}

}  // namespace fastcontainer::etcd
