// A client in JavaScript with the official SDK (npm install centrifuge; Node 22 or newer, or any browser).
//
//     node connect.mjs ws://127.0.0.1:8000/connection/websocket TOKEN
//
// Loads the forest, listens, collects every ball that is ripe, then tells of five things that happen in the forest.
import { Centrifuge } from "centrifuge";

const [url, token] = process.argv.slice(2);

// A UUIDv7: one for each wish, kept for retries. The same key never has two effects.
function newKey() {
  const time = Date.now().toString(16).padStart(12, "0");
  const random = crypto.randomUUID().replaceAll("-", "");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-a${random.slice(3, 6)}-${random.slice(6, 18)}`;
}

const client = new Centrifuge(url, { token });
client.connect();
await client.ready(10000);

const forest = (await client.rpc("forest.get", {})).data;
console.log(`user ${forest.user} has ${forest.wallet_g} g and ${forest.balls.length} balls`);

let told = 0;
const subscription = client.newSubscription(`forest:${forest.user}`);
subscription.on("publication", ({ data }) => {
  console.log(data.type, JSON.stringify(data.balls));
  if (++told === 5) client.disconnect();
});
subscription.subscribe();

const ripe = forest.balls.filter((ball) => ball.status === "ripe").map((ball) => ball.id).slice(0, 50);
if (ripe.length) {
  console.log("collected", JSON.stringify((await client.rpc("ball.collect", { key: newKey(), balls: ripe })).data));
}
console.log("listening to the forest until five things have happened; Ctrl-C ends it sooner");
