/* fastcontainer on a bare, edge-triggered epoll loop: embed CMDB-URL KEY asks where KEY's container runs and
 * sends one GET. */
#include <fastcontainer.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct request {
  fc_ticket ticket;
  int32_t code;
};

static void on_route(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  struct request* request = user_data;
  request->code = code;
  if (code == FC_OK) request->ticket = *ticket;
  if (code != FC_OK) fprintf(stderr, "%s\n", error->message);
}

static void get(const fc_ticket* ticket, const char* key) {
  char buffer[4096];
  int s = socket(ticket->address->sa_family, SOCK_STREAM, 0);
  int length = snprintf(buffer, sizeof buffer, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", key);
  ssize_t n = connect(s, ticket->address, ticket->address_length);
  if (n == 0) n = write(s, buffer, (size_t)length);
  while (n > 0 && (n = read(s, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)n, stdout);
  close(s);
}

int main(int argc, char** argv) {
  fc_engine* engine;
  fc_engine_options options;
  fc_error error = FC_ERROR_INIT;
  struct request request = {FC_TICKET_INIT, FC_PENDING};
  if (argc != 3) return 2;
  fc_engine_options_init(&options);
  options.cmdb_url = (fc_str){argv[1], strlen(argv[1])};
  if (fc_engine_create(&engine, &options, &error) != FC_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  int loop = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  epoll_ctl(loop, EPOLL_CTL_ADD, fc_engine_fd(engine), &event);

  fc_str key = {argv[2], strlen(argv[2])};
  request.code = fc_route(engine, key, NULL, &request.ticket, NULL, on_route, &request);
  while (request.code == FC_PENDING && epoll_wait(loop, &event, 1, -1) >= 0) fc_engine_process(engine, 0);
  if (request.code == FC_OK) {
    get(&request.ticket, argv[2]);
    fc_ticket_end(engine, request.ticket.id, NULL);
  } else {
    fprintf(stderr, "%s\n", fc_code_name(request.code));
  }
  fc_engine_destroy(engine);
  return request.code == FC_OK ? 0 : 1;
}
