/*
 * avr_board SKETCH.elf: an Arduino Uno without the Uno. Its ATmega328P runs in libsimavr, its serial port is a
 * pseudo terminal. Built and driven by firmware.py; a person can type the commands as well.
 *
 * Commands are lines on stdin, each opened by a number of the sender's choice; each is answered by one line on
 * stdout that opens with the same number:
 *
 *     1 plug           1 ok /dev/pts/7    power on: a new pty, the chip starts
 *     2 unplug         2 ok               power off: the pty hangs up, the chip stands still
 *     3 reset          3 ok               the reset button
 *     4 reset 10       4 ok               the same, pressed by itself as soon as 10 bytes of a line are out
 *     5 adc 0 2500     5 ok               2500 mV at analog input 0
 *     6 drive D2 1     6 ok               a wire that holds port D, bit 2 (the Uno's pin 2) high
 *     7 pin B5         7 ok 1             the level of port B, bit 5 (the Uno's pin 13) now
 *     8 counts         8 ok 512 0         bytes that went out, bytes that were lost because nobody took them
 *
 * An answer that does not say `ok` says `error` and why. The board ends with its stdin, and with its parent.
 *
 * Rules
 *  1. The chip's time is the wall clock's: it runs a slice of 1 ms and then waits until that millisecond is over.
 *     On a busy machine it falls behind and catches up, unless it fell behind by more than MAX_LAG_NS (a machine
 *     that slept): that time never happened.
 *  2. Board to host: what left the UART is handed to the pty once a slice, without waiting. What finds no room
 *     is lost and counted, as behind a real USB chip.
 *  3. Host to board: at the pace of the sketch's own baud rate, and read from the pty only when the bytes before
 *     it are through, so that a fast writer feels the slow wire.
 *  4. Power off is off: no instruction runs, and what was on its way in either direction is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

enum {
    HZ = 16000000,
    SLICE_CYCLES = HZ / 1000,
    SLICE_NS = 1000000,
    MAX_LAG_NS = 500 * SLICE_NS,
    /* How many cycles simavr may run at a stretch. Its default of 1 costs half as much processor time again
       (measured: 20 % of a core against 13 %), more than 50 gains nothing; 50 are 3 us. */
    RUN_CYCLES = 50,
    SUPPLY_MV = 5000,
    ANALOG_INPUTS = 8,
    COMMAND_MAX = 128,
    MESSAGES_MAX = 50, /* so that nobody has to read stderr for us to go on */
};

/* Data addresses of UART registers: ATmega328P data sheet, register summary. */
enum { UCSR0A = 0xC0, UBRR0L = 0xC4, UBRR0H = 0xC5, U2X0 = 1 << 1 };

static avr_t *avr;
static int replies; /* our stdout; descriptor 1 itself is stderr, because the library prints there */
static int pty_master = -1, pty_slave = -1; /* both -1: power is off */

static uint8_t outgoing[1024]; /* a slice of 1 ms carries 200 bytes at 2 Mbaud, the fastest the chip can do */
static size_t outgoing_len;
static unsigned long bytes_out, bytes_lost;

static uint8_t incoming[256];
static size_t incoming_at, incoming_len;
static avr_cycle_count_t next_incoming; /* when the wire has carried the byte before */

static int column, reset_column; /* bytes of the line that is going out; 0: no reset is waiting for one */
static bool reset_pressed;

static struct wire { /* what holds the pins of a port from outside */
    uint8_t mask, level;
} wires[3];
static const char ports[] = "BCD";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "avr_board: %s\n", what);
    exit(1);
}

static void log_message(avr_t *chip, const int level, const char *format, va_list values)
{
    static int messages;
    (void)chip;
    if (level <= LOG_ERROR && messages++ < MESSAGES_MAX)
        vfprintf(stderr, format, values);
}

/* The pace is ours (rule 1); without this the library would also sleep when the chip does. */
static void sleep_is_nothing(avr_t *chip, avr_cycle_count_t cycles)
{
    (void)chip;
    (void)cycles;
}

/* ---- the serial line ---- */

static void byte_left(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq;
    (void)param;
    if (reset_pressed || outgoing_len == sizeof outgoing)
        return;
    outgoing[outgoing_len++] = value;
    column = value == '\n' ? 0 : column + 1;
    if (reset_column && column >= reset_column) {
        reset_column = 0;
        reset_pressed = true; /* a hook runs inside an instruction: the reset itself has to wait for its end */
    }
}

static void hand_over_outgoing(void)
{
    ssize_t n = outgoing_len ? write(pty_master, outgoing, outgoing_len) : 0;
    size_t taken = n > 0 ? (size_t)n : 0;
    bytes_out += taken;
    bytes_lost += outgoing_len - taken;
    outgoing_len = 0;
}

/* 11 bit times, not the 10 of 8N1: simavr's UART counts a parity bit that is not there, in both directions, and
   a faster wire would overrun its receiver. */
static avr_cycle_count_t cycles_per_byte(void)
{
    unsigned divisor = 1 + (avr->data[UBRR0L] | avr->data[UBRR0H] << 8);
    return 11 * divisor * (avr->data[UCSR0A] & U2X0 ? 8 : 16);
}

static void carry_incoming(avr_irq_t *input)
{
    if (incoming_at == incoming_len || avr->cycle < next_incoming)
        return;
    avr_raise_irq(input, incoming[incoming_at++]);
    /* From when it was due, not from now: the simulator's grain must not slow a stream of bytes. */
    avr_cycle_count_t due = next_incoming + RUN_CYCLES < avr->cycle ? avr->cycle : next_incoming;
    next_incoming = due + cycles_per_byte();
}

static void read_incoming(void)
{
    ssize_t n = read(pty_master, incoming, sizeof incoming);
    incoming_at = 0;
    incoming_len = n > 0 ? (size_t)n : 0;
}

/* ---- pins ---- */

static avr_ioport_state_t port_state(int port)
{
    avr_ioport_state_t state;
    avr_ioctl(avr, AVR_IOCTL_IOPORT_GETSTATE(ports[port]), &state);
    return state;
}

/* A reset clears the simulated pins, but the wires are still there. A pin is told only of a change (the library
   filters), so it is given both levels. */
static void hold_wires(void)
{
    for (int port = 0; port < 3; port++) {
        const struct wire *wire = &wires[port];
        if (!wire->mask)
            continue;
        avr_ioport_state_t state = port_state(port);
        uint8_t wrong = (state.pin ^ wire->level) & wire->mask & ~state.ddr;
        for (int bit = 0; bit < 8; bit++) {
            if (wrong & 1 << bit) {
                avr_irq_t *pin = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(ports[port]), bit);
                avr_raise_irq(pin, !(wire->level >> bit & 1));
                avr_raise_irq(pin, wire->level >> bit & 1);
            }
        }
    }
}

static void drive(int port, int bit, bool level)
{
    struct wire *wire = &wires[port];
    wire->mask |= 1 << bit;
    wire->level = (wire->level & ~(1 << bit)) | level << bit;
    /* Also against the chip's own pull-up, which the library would otherwise let win. */
    avr_ioport_external_t outside = {.name = ports[port], .mask = wire->mask, .value = wire->level};
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(ports[port]), &outside);
    hold_wires();
}

/* ---- power, reset, time ---- */

static void press_reset(avr_regbit_t cause)
{
    avr_reset(avr);
    avr_regbit_set(avr, cause);
    reset_pressed = false;
    column = 0;
    hold_wires();
}

static void unplug(void)
{
    close(pty_slave);
    close(pty_master);
    pty_master = pty_slave = -1;
    outgoing_len = incoming_at = incoming_len = 0;
    reset_column = 0;
}

/* False, with errno, when the system has no pty for us. The slave is held open: a board whose port nobody has
   opened is there all the same, and reading the master of a pty without a slave fails with EIO. */
static bool plug(void)
{
    struct termios raw;
    memset(&raw, 0, sizeof raw);
    cfmakeraw(&raw);
    raw.c_cflag |= CREAD | CLOCAL;
    cfsetspeed(&raw, B115200);
    if (openpty(&pty_master, &pty_slave, NULL, &raw, NULL) < 0)
        return false;
    fcntl(pty_master, F_SETFL, O_NONBLOCK);
    next_incoming = avr->cycle;
    press_reset(avr->reset_flags.porf);
    return true;
}

static void run_slice(avr_irq_t *input)
{
    avr_cycle_count_t end = avr->cycle + SLICE_CYCLES;
    hold_wires();
    avr->run_cycle_limit = RUN_CYCLES; /* every reset, the watchdog's too, puts it back */
    while (avr->cycle < end) {
        carry_incoming(input);
        int state = avr_run(avr);
        if (state == cpu_Crashed || state == cpu_Done)
            die(state == cpu_Done ? "the sketch stopped the processor for good" : "the sketch crashed");
        if (reset_pressed) {
            press_reset(avr->reset_flags.extrf);
            avr->run_cycle_limit = RUN_CYCLES;
        }
    }
    hand_over_outgoing();
}

/* ---- commands ---- */

static bool parse_pin(const char *name, int *port, int *bit)
{
    const char *letter = name[0] ? strchr(ports, name[0]) : NULL;
    if (!letter || name[1] < '0' || name[1] > '7' || name[2])
        return false;
    *port = letter - ports;
    *bit = name[1] - '0';
    return true;
}

static void obey(const char *line)
{
    unsigned id = 0, number, value;
    int at = 0, port, bit;
    char pin[4], verb[8] = "";
    sscanf(line, "%u %7s %n", &id, verb, &at);
    const char *rest = line + at;
    const char *refused = NULL;
    char answer[64] = "";

    if (!strcmp(verb, "plug")) {
        if (pty_master >= 0)
            refused = "it is plugged in";
        else if (!plug())
            refused = strerror(errno);
        else
            snprintf(answer, sizeof answer, " %s", ttyname(pty_slave));
    } else if (!strcmp(verb, "unplug")) {
        if (pty_master >= 0)
            unplug();
    } else if (!strcmp(verb, "reset")) {
        if (pty_master < 0)
            refused = "it is not plugged in";
        else if (sscanf(rest, "%u", &number) == 1 && number > 0)
            reset_column = number;
        else
            press_reset(avr->reset_flags.extrf);
    } else if (!strcmp(verb, "adc")) {
        if (sscanf(rest, "%u %u", &number, &value) != 2 || number >= ANALOG_INPUTS || value > SUPPLY_MV)
            refused = "adc wants an input from 0 to 7 and 0 to 5000 mV";
        else
            avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0 + number), value);
    } else if (!strcmp(verb, "drive")) {
        if (sscanf(rest, "%3s %u", pin, &value) != 2 || !parse_pin(pin, &port, &bit) || value > 1)
            refused = "drive wants a pin, B0 to D7, and 0 or 1";
        else
            drive(port, bit, value);
    } else if (!strcmp(verb, "pin")) {
        if (sscanf(rest, "%3s", pin) != 1 || !parse_pin(pin, &port, &bit)) {
            refused = "pin wants a pin, B0 to D7";
        } else {
            avr_ioport_state_t state = port_state(port);
            uint8_t level = (state.port & state.ddr) | (state.pin & ~state.ddr);
            snprintf(answer, sizeof answer, " %d", level >> bit & 1);
        }
    } else if (!strcmp(verb, "counts")) {
        snprintf(answer, sizeof answer, " %lu %lu", bytes_out, bytes_lost);
    } else {
        refused = "no such command";
    }
    if (refused)
        dprintf(replies, "%u error %s\n", id, refused);
    else
        dprintf(replies, "%u ok%s\n", id, answer);
}

static void read_commands(void)
{
    static char line[COMMAND_MAX];
    static size_t len;
    char chunk[COMMAND_MAX];
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n <= 0)
        exit(0);
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] == '\n') {
            line[len] = '\0';
            len = 0;
            obey(line);
        } else if (len < sizeof line - 1) {
            line[len++] = chunk[i];
        }
    }
}

/* Waits for a command, for bytes from the host if the wire is free, or for `timeout_ns`; below 0 for ever. */
static void wait_for_input(int64_t timeout_ns)
{
    struct pollfd sources[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = incoming_at == incoming_len ? pty_master : -1, .events = POLLIN},
    };
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000LL, .tv_nsec = timeout_ns % 1000000000LL};
    ppoll(sources, 2, timeout_ns < 0 ? NULL : &timeout, NULL);
    if (sources[1].revents)
        read_incoming();
    if (sources[0].revents)
        read_commands();
}

static void power_up_the_chip(const char *elf)
{
    elf_firmware_t firmware;
    memset(&firmware, 0, sizeof firmware);
    if (elf_read_firmware(elf, &firmware) != 0)
        die("cannot read the firmware");
    avr = avr_make_mcu_by_name("atmega328p");
    if (!avr)
        die("this libsimavr knows no atmega328p");
    avr_init(avr);
    firmware.frequency = HZ;
    avr_load_firmware(avr, &firmware);
    avr->sleep = sleep_is_nothing;
    avr->vcc = avr->avcc = avr->aref = SUPPLY_MV;
    uint32_t flags = 0; /* neither a copy on the console nor sleeps of the library's own */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), byte_left, NULL);
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* stdin says so too, but not while we are stopped by a debugger or SIGSTOP */
    replies = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    avr_global_logger_set(log_message);
    if (argc != 2)
        die("usage: avr_board SKETCH.elf");
    power_up_the_chip(argv[1]);
    avr_irq_t *input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);

    int64_t due = now_ns(); /* when the slice that ran last is over on the wall clock */
    for (;;) {
        if (pty_master < 0) {
            wait_for_input(-1);
            due = now_ns();
            continue;
        }
        run_slice(input);
        due += SLICE_NS;
        int64_t left;
        while ((left = due - now_ns()) > 0 && pty_master >= 0)
            wait_for_input(left);
        if (left <= 0)
            wait_for_input(0); /* behind, but still listening */
        if (left < -MAX_LAG_NS)
            due = now_ns();
    }
}
