#include "examples/proxy/config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "examples/common/strict_json.h"

namespace proxy {

namespace {

using examples::Fields;
using nlohmann::json;

constexpr uint32_t kMaxMs = 86400000;
constexpr uint32_t kMany = 10000000;
constexpr uint32_t kMaxWorkers = 60;
constexpr size_t kMaxSocketPath = 100;  // of the 107 of unix(7)

void ReadAddress(Fields& fields, const char* field, sockaddr_storage* address) {
  std::string text;
  fields.Read(field, &text);
  if (text.empty()) return;
  if (!ParseAddress(text, address)) {
    fields.Fail(field, "must be a numeric address and a port, for example \"127.0.0.1:8080\"");
  }
}

bool IsNumericHost(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  return inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

void ReadNumericHost(Fields& fields, const char* field, std::string* value) {
  fields.Read(field, value);
  if (!value->empty() && !IsNumericHost(*value)) fields.Fail(field, "must be a numeric address");
}

bool IsNumericWithPort(const std::string& text) {
  sockaddr_storage parsed;
  return ParseAddress(text, &parsed);
}

void ReadAddresses(Fields& fields, const char* field, bool port, std::vector<std::string>* out) {
  const json* values = fields.Array(field);
  if (values == nullptr) return;
  for (const json& value : *values) {
    const std::string text = value.is_string() ? value.get<std::string>() : "";
    if (port ? !IsNumericWithPort(text) : !IsNumericHost(text))
      return fields.Fail(field, port ? "must be an array of numeric addresses, each with a port"
                                     : "must be an array of numeric addresses");
    out->push_back(text);
  }
}

void ReadTrusted(Fields& fields, Config* config) {
  if (const json* values = fields.Array("trusted")) {
    for (const json& value : *values) {
      if (value.is_string() && config->trusted.Add(value.get<std::string>())) continue;
      return fields.Fail("trusted",
                         "must be an array of numeric addresses and networks, for example \"10.1.0.0/16\"");
    }
  }
  fields.Read("proxy_protocol", &config->proxy_protocol);
  if (config->proxy_protocol && config->trusted.empty()) fields.Fail("proxy_protocol", "needs \"trusted\"");
}

void ReadProfile(Fields& fields, Config* config) {
  std::string profile = "default";
  fields.Read("profile", &profile);
  config->paper = profile == "paper";
  if (profile != "default" && profile != "paper") fields.Fail("profile", "must be \"default\" or \"paper\"");
  fields.Read("prepare", &config->prepare);
}

void ReadAdmission(Fields& fields, Config* config) {
  std::string admission;
  fields.Read("admission", &admission);
  constexpr std::array<std::string_view, 4> kNames = {"", "solo", "confirm", "heartbeat"};
  const auto* found = std::find(kNames.begin(), kNames.end(), admission);
  if (found == kNames.end()) return fields.Fail("admission", R"(must be "solo", "confirm" or "heartbeat")");
  config->admission = static_cast<uint32_t>(found - kNames.begin());
  if (admission == "confirm" && config->peers.empty())
    fields.Fail("admission", "\"confirm\" needs \"peers\"");
  if (admission == "confirm" || admission == "heartbeat")
    if (config->paper) fields.Fail("admission", "must be \"solo\" in the profile \"paper\"");
}

void ReadLog(Fields& fields, Config* config, std::string* error) {
  const json* log = fields.Object("log");
  if (log == nullptr) return;
  Fields sink(*log, "log", error);
  std::string level = "info";
  sink.Read("path", &config->log);
  if (config->log.empty()) sink.Fail("path", "must be a file, \"-\" or \"off\"");
  sink.Read("level", &level);
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  const auto* found = std::find(kLevels.begin(), kLevels.end(), level);
  if (found == kLevels.end()) {
    sink.Fail("level", "must be \"debug\", \"info\", \"warning\" or \"error\"");
  } else {
    config->log_level = static_cast<int32_t>(found - kLevels.begin());
  }
  sink.Finish();
}

void ReadTimeouts(Fields& fields, TimeoutConfig* timeouts, std::string* error) {
  const json* object = fields.Object("timeouts");
  if (object == nullptr) return;
  Fields ms(*object, "timeouts", error);
  ms.Read("header_ms", &timeouts->header, 1, kMaxMs);
  ms.Read("body_ms", &timeouts->body, 1, kMaxMs);
  ms.Read("send_ms", &timeouts->send, 1, kMaxMs);
  ms.Read("idle_ms", &timeouts->idle, 1, kMaxMs);
  ms.Read("connect_ms", &timeouts->connect, 1, kMaxMs);
  ms.Read("response_ms", &timeouts->response, 1, kMaxMs);
  ms.Read("tunnel_ms", &timeouts->tunnel, 1, kMaxMs);
  ms.Read("upstream_idle_ms", &timeouts->upstream_idle, 1, kMaxMs);
  ms.Read("hold_ms", &timeouts->hold, 0, kMaxMs);
  ms.Read("wait_ms", &timeouts->wait, 1, kMaxMs);
  ms.Read("start_ms", &timeouts->start, 1, kMaxMs);
  ms.Read("drain_ms", &timeouts->drain, 0, kMaxMs);
  ms.Finish();
}

void ReadLimits(Fields& fields, LimitConfig* limits, std::string* error) {
  const json* object = fields.Object("limits");
  if (object == nullptr) return;
  Fields counts(*object, "limits", error);
  counts.Read("connections", &limits->connections, 1, kMany);
  counts.Read("upstream_idle", &limits->upstream_idle, 0, kMany);
  counts.Read("queue_per_container", &limits->queue_per_container, 1, kMany);
  counts.Read("queue_total", &limits->queue_total, 1, kMany);
  counts.Read("relocations_per_second", &limits->relocations_per_second, 1, kMany);
  counts.Read("relocation_burst", &limits->relocation_burst, 1, kMany);
  counts.Finish();
}

void ReadPorts(Fields& own, DispatcherConfig* dispatcher, std::string* error) {
  const json* ports = own.Object("container_ports");
  if (ports == nullptr) return;
  Fields range(*ports, "dispatcher.container_ports", error);
  range.Read("first", &dispatcher->port_first, 1, 65535);
  range.Read("last", &dispatcher->port_last, 1, 65535);
  range.Finish();
  if (dispatcher->port_first == 0 || dispatcher->port_first > dispatcher->port_last) {
    own.Fail("container_ports", "needs \"first\" and \"last\", the first not after the last");
  }
}

void ReadLabels(Fields& own, DispatcherConfig* dispatcher) {
  const json* labels = own.Object("labels");
  if (labels == nullptr) return;
  for (const auto& [name, value] : labels->items()) {
    if (!value.is_string()) own.Fail("labels." + name, "must be a string");
  }
  dispatcher->labels = labels->dump();
}

void ReadDispatcher(Fields& fields, Config* config, std::string* error) {
  const json* object = fields.Object("dispatcher");
  if (object == nullptr) return;
  DispatcherConfig& dispatcher = config->dispatcher.emplace();
  Fields own(*object, "dispatcher", error);
  own.Read("host", &dispatcher.host);
  if (dispatcher.host.empty()) own.Fail("host", "is required (this host's name in the CMDB)");
  ReadNumericHost(own, "address", &dispatcher.address);
  own.Read("port", &dispatcher.port, 1, 65535);
  own.Read("state_directory", &dispatcher.state_directory);
  own.Read("log_directory", &dispatcher.log_directory);
  own.Read("runtime", &dispatcher.runtime);
  if (dispatcher.state_directory.empty()) own.Fail("state_directory", "is required (it survives restarts)");
  own.Read("max_starts", &dispatcher.max_starts, 1, kMany);
  own.Read("max_containers", &dispatcher.max_containers, 1, kMany);
  own.Read("cpu", &dispatcher.cpu, 0.0);
  own.Read("memory", &dispatcher.memory, 1, UINT64_MAX);
  ReadPorts(own, &dispatcher, error);
  ReadLabels(own, &dispatcher);
  own.Finish();
}

void CheckWhole(Fields& fields, const Config& config) {
  if (config.listen.ss_family == AF_UNSPEC)
    fields.Fail("listen", "is required, for example \"0.0.0.0:8080\"");
  if (config.admin.ss_family != AF_UNSPEC && !IsLoopback(config.admin)) {
    fields.Fail("admin", "must be a loopback address: what it tells is not for everybody");
  }
  if (config.cmdb.empty() && !config.fixed_upstream) {
    fields.Fail("cmdb", "is required, for example \"sqlite:/var/lib/fastcontainer/cmdb.db\"");
  }
  if (config.fixed_upstream && (!config.cmdb.empty() || config.dispatcher)) {
    fields.Fail("fixed_upstream", "excludes \"cmdb\" and \"dispatcher\": the library is not used with it");
  }
  if (config.takeover.size() > kMaxSocketPath) fields.Fail("takeover", "must be at most 100 bytes long");
  if (!config.takeover.empty() && IsNumericWithPort(config.bind))
    fields.Fail("takeover",
                "excludes a port in \"bind\": old and new process would need it at the same time");
}

std::optional<Config> FromJson(const json& value, std::string* error) {
  Config config;
  Fields fields(value, "", error);
  ReadAddress(fields, "listen", &config.listen);
  ReadAddress(fields, "admin", &config.admin);
  sockaddr_storage fixed = {};
  ReadAddress(fields, "fixed_upstream", &fixed);
  if (fixed.ss_family != AF_UNSPEC) config.fixed_upstream = fixed;
  fields.Read("workers", &config.workers, 1, kMaxWorkers);
  fields.Read("takeover", &config.takeover);
  fields.Read("cmdb", &config.cmdb);
  fields.Read("cluster_key_file", &config.cluster_key_file);
  fields.Read("name", &config.name);
  fields.Read("bind", &config.bind);
  if (!config.bind.empty() && !IsNumericHost(config.bind) && !IsNumericWithPort(config.bind))
    fields.Fail("bind", "must be a numeric address, with a port if it is a peer of others");
  ReadAddresses(fields, "witnesses", /*port=*/false, &config.witnesses);
  ReadAddresses(fields, "peers", /*port=*/true, &config.peers);
  fields.Read("confirm", &config.confirm, 1);
  ReadTrusted(fields, &config);
  ReadProfile(fields, &config);
  ReadAdmission(fields, &config);
  fields.Read("no_relocation", &config.no_relocation);
  fields.Read("snapshot", &config.snapshot);
  fields.Read("freshness_ms", &config.freshness, 1, kMaxMs);
  fields.Read("guard_ms", &config.guard, 1, kMaxMs);
  fields.Read("service_deadline_ms", &config.service_deadline, 1, kMaxMs);
  ReadLog(fields, &config, error);
  ReadTimeouts(fields, &config.timeouts, error);
  ReadLimits(fields, &config.limits, error);
  ReadDispatcher(fields, &config, error);
  if (fields.Finish()) CheckWhole(fields, config);
  if (!error->empty()) return std::nullopt;
  return config;
}

}  // namespace

bool ParseAddress(const std::string& text, sockaddr_storage* address) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port == 0) return false;
  *address = {};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(address);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) == 1;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(address);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  return inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1;
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr) != 0;
  }
  return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127;
}

std::string FormatAddress(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return std::string("[") + text.data() + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
}

Config ForWorker(Config config, uint32_t index) {
  const auto plus = [index](sockaddr_storage* address) {
    // The port is at the same place in both families.
    auto& port = reinterpret_cast<sockaddr_in*>(address)->sin_port;
    port = htons(static_cast<uint16_t>(ntohs(port) + index));
  };
  plus(&config.admin);
  sockaddr_storage bind = {};
  if (ParseAddress(config.bind, &bind)) {
    plus(&bind);
    config.bind = FormatAddress(bind);
  }
  // Dispatchers know a proxy by its name.
  if (!config.name.empty() && (config.workers > 1 || !config.takeover.empty()))
    config.name.append("-").append(std::to_string(getpid()));
  if (!config.snapshot.empty() && index > 0) config.snapshot.append(".").append(std::to_string(index));
  return config;
}

std::optional<Config> ParseConfig(std::string_view text, std::string* error) {
  error->clear();
  const auto value = examples::ParseStrict(text, error);
  if (!value) return std::nullopt;
  return FromJson(*value, error);
}

std::optional<Config> ReadConfig(const std::string& path, std::string* error) {
  error->clear();
  const auto value = examples::ReadStrict(path, error);
  if (!value) return std::nullopt;
  auto config = FromJson(*value, error);
  if (!config) *error = path + ": " + *error;
  return config;
}

}  // namespace proxy
