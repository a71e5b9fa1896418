/*
  serial2iot: a room sensor that also switches an LED.

  Upload it as it is to an Arduino Uno or any board like it. It needs no library and no wiring:
  temperature and humidity are made up and move slowly. Put your own sensor into sendReading().

  Ten times a second the board sends one line (115200 baud, 8N1), which serial2iot carries to the cloud:

      {"t":23.4,"h":55,"a0":512,"ms":81200}

      t    temperature in degrees Celsius          a0   what analogRead(A0) says, 0 to 1023
      h    relative humidity in percent            ms   milliseconds since the board started

  It listens as well. Each command is one line, and each is answered with one line:

      LED on        OK LED on        the LED on the board lights up
      LED blue      OK LED blue      the LED at pin 9 lights up instead
      LED off       OK LED off       both are dark
      LED pink      ERR LED knows on, off and blue
      anything      ERR unknown command
*/

const unsigned long READING_EVERY_MS = 100;
const unsigned long WAVE_MS = 60000;  // t and h go up and down once a minute

const int BOARD_LED = LED_BUILTIN;  // pin 13 on an Uno
const int BLUE_LED = 9;             // pin 9 -> resistor (220 ohms) -> LED -> GND, if you have one

char command[32];  // the line that is just arriving; what is longer than this is no command
size_t commandLength = 0;
bool commandIsBad = false;

unsigned long lastReadingAt;

void setup() {
  Serial.begin(115200);
  pinMode(BOARD_LED, OUTPUT);
  pinMode(BLUE_LED, OUTPUT);
  lastReadingAt = millis();
}

void loop() {
  // Never wait with delay(): while the board waits it cannot listen, and it has room for 64 bytes only.
  while (Serial.available() > 0) {
    takeCharacter(Serial.read());
  }
  // millis() starts again from 0 after 49.7 days. The difference of two unsigned numbers is right even
  // then. "+=" and not "= millis()": a line that is late by a millisecond does not delay the next ones.
  if (millis() - lastReadingAt >= READING_EVERY_MS) {
    lastReadingAt += READING_EVERY_MS;
    sendReading();
  }
}

void sendReading() {
  unsigned long now = millis();
  float wave = sin((now % WAVE_MS) * TWO_PI / WAVE_MS);  // between -1 and 1

  float temperature = 23.0 + 3.0 * wave;
  float humidity = 55.0 - 10.0 * wave;

  // F() keeps the text in flash memory: an Uno has only 2048 bytes of RAM.
  Serial.print(F("{\"t\":"));
  Serial.print(temperature, 1);
  Serial.print(F(",\"h\":"));
  Serial.print(humidity, 0);
  Serial.print(F(",\"a0\":"));
  Serial.print(analogRead(A0));
  Serial.print(F(",\"ms\":"));
  Serial.print(now);
  Serial.println(F("}"));
}

// Collects a line. Whatever arrives, it never writes past the end of `command`.
void takeCharacter(char c) {
  if (c == '\r') {
    return;
  }
  if (c != '\n') {
    if (c >= ' ' && c <= '~' && commandLength < sizeof(command) - 1) {
      command[commandLength++] = c;
    } else {
      commandIsBad = true;  // too long, or noise on the wire
    }
    return;
  }
  command[commandLength] = '\0';
  if (commandIsBad) {
    Serial.println(F("ERR unknown command"));
  } else if (commandLength > 0) {
    obey(command);
  }
  commandLength = 0;
  commandIsBad = false;
}

void obey(const char *line) {
  if (strncmp(line, "LED ", 4) != 0) {
    Serial.println(F("ERR unknown command"));
    return;
  }
  const char *value = line + 4;
  bool on = strcmp(value, "on") == 0;
  bool blue = strcmp(value, "blue") == 0;
  bool off = strcmp(value, "off") == 0;
  if (!on && !blue && !off) {
    Serial.println(F("ERR LED knows on, off and blue"));
    return;
  }
  digitalWrite(BOARD_LED, on ? HIGH : LOW);
  digitalWrite(BLUE_LED, blue ? HIGH : LOW);
  Serial.print(F("OK LED "));  // only now: the answer means that it is done
  Serial.println(value);
}
