// Takes the place of ajv in the worker's bundle, where workerd refuses the `new Function` that ajv compiles with. The
// library has it check the options of its classes Producer, Consumer and Admin, which we do not use.
export class Ajv2020 {
  addKeyword(): this {
    return this;
  }

  compile(): () => never {
    return () => {
      throw new Error("options of the Kafka library's classes cannot be checked here");
    };
  }
}
