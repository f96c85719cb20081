// A real PostgreSQL server for tests: on loopback and a socket, with its data in a temporary folder.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_SERVER_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_SERVER_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer::postgresql {

// The folder of postgres and initdb, which Debian keeps out of PATH; empty if there is none.
inline std::string ProgramFolder() {
  for (int version = 20; version >= 14; --version) {
    const std::string folder = "/usr/lib/postgresql/" + std::to_string(version) + "/bin/";
    if (access((folder + "postgres").c_str(), X_OK) == 0 && access((folder + "initdb").c_str(), X_OK) == 0)
      return folder;
  }
  return "";
}

// postgres refuses to run as root: then it runs as nobody.
class ServerUser {
 public:
  ServerUser() {
    if (geteuid() != 0) return;
    const passwd* const nobody = getpwnam("nobody");
    if (nobody == nullptr) return;
    uid_ = nobody->pw_uid;
    gid_ = nobody->pw_gid;
  }
  bool Own(const std::string& path) const { return uid_ == 0 || chown(path.c_str(), uid_, gid_) == 0; }
  bool Become() const {
    return uid_ == 0 || (setgroups(0, nullptr) == 0 && setgid(gid_) == 0 && setuid(uid_) == 0);
  }

 private:
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

inline pid_t Spawn(const ServerUser& user, std::vector<std::string> arguments, const std::string& log) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  if (!user.Become() || chdir("/") != 0) _exit(126);
  // After the change of user, which clears it: an immediate end, also of the server's own processes.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  execv(argv[0], argv.data());
  _exit(127);
}

class Server {
 public:
  ~Server() { Stop(SIGQUIT); }

  // The first error; NotFound if the programs are not installed.
  absl::Status Create() {
    if (ProgramFolder().empty()) return absl::NotFoundError("the server of PostgreSQL is not installed");
    if (chmod(folder_.path().c_str(), 0755) != 0 || mkdir(Data().c_str(), 0700) != 0 || !user_.Own(Data()))
      return absl::UnavailableError("no folder for the server");
    const pid_t pid = Spawn(user_,
                            {ProgramFolder() + "initdb", "-D", Data(), "-U", "admin", "-A", "trust", "-E",
                             "UTF8", "--locale=C", "--no-sync", "--no-instructions"},
                            Log());
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0) return absl::UnavailableError("initdb: " + LogText());
    port_ = FreePort();
    Start();
    return AwaitReady() ? absl::OkStatus() : absl::UnavailableError("postgres: " + LogText());
  }
  void Start() {
    // The name of a socket may be at most 107 bytes long.
    const std::string socket_folder = Data().size() < 80 ? Data() : "";
    pid_ = Spawn(user_,
                 {ProgramFolder() + "postgres", "-D", Data(), "-p", std::to_string(port_), "-k",
                  socket_folder, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"},
                 Log());
  }
  // SIGQUIT: immediately, as in a crash; SIGINT: after telling the clients.
  void Stop(int signal) {
    if (pid_ <= 0) return;
    kill(pid_, signal);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  bool AwaitReady() {
    const std::unique_ptr<EpollReactor> clock = EpollReactor::Create().value();
    const Nanos end = clock->Now() + kPatience;
    while (clock->Now() < end && waitpid(pid_, nullptr, WNOHANG) == 0)
      if (PQping(Url("").c_str()) == PQPING_OK) return true;
    return false;
  }

  std::string Url(const std::string& parameters, const std::string& user = "admin") const {
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/postgres" +
           (parameters.empty() ? "" : "?" + parameters);
  }
  std::string Data() const { return folder_.File("data"); }
  uint16_t port() const { return port_; }
  // A line of pg_hba.conf before all others.
  void PrependAccessRule(const std::string& rule) const {
    std::ostringstream rules;
    rules << rule << "\n" << std::ifstream(Data() + "/pg_hba.conf").rdbuf();
    std::ofstream(Data() + "/pg_hba.conf") << rules.str();
    kill(pid_, SIGHUP);
  }
  const TemporaryFolder& folder() const { return folder_; }

  // What psql would print, one line for each row, columns with | between; "ERROR ..." if it fails.
  std::string Sql(const std::string& sql) const {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(Url("").c_str()), &PQfinish);
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()),
                                                               &PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
      return std::string("ERROR ") + PQerrorMessage(connection.get());
    std::string text;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      if (row > 0) text += "\n";
      for (int column = 0; column < PQnfields(result.get()); ++column)
        text += std::string(column > 0 ? "|" : "") + PQgetvalue(result.get(), row, column);
    }
    return text;
  }

 private:
  std::string Log() const { return folder_.File("log"); }
  std::string LogText() const {
    std::ostringstream text;
    text << std::ifstream(Log()).rdbuf();
    return text.str();
  }
  static uint16_t FreePort() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                       getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    close(fd);
    return bound ? ntohs(address.sin_port) : 0;
  }

  const ServerUser user_;
  TemporaryFolder folder_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_SERVER_H_
